"""Tailing of log files: a path and its state in; whole lines, each once, and counted losses out.

`follower` follows one path through rotation, truncation, compression and restarts; `tail` is one open file with a position that
identifies it by content; `siblings` and `compressed_copy` find rotated files; `paths` expands globs; `poller` detects growth.
"""
