"""Parsers of memory statistics in /proc and /sys, one module per file."""
