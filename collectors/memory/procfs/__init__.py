"""Parsers of memory statistics in /proc and /sys. In: a root and a page size; out: bytes, None where the kernel has no counter."""
