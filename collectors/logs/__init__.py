"""Logs: what the kernel and the DHCP clients say, counted once."""
