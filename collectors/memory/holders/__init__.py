"""Holder scan: a helper process and its client. In: /proc and socket tables; out: the processes that hold most kernel memory."""
