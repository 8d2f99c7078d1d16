"""Holders of kernel memory: a helper process that maps sockets and files to processes, and its client."""
