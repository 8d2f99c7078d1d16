"""Tailing of log files through rotation, truncation, compression and restarts of vitald."""
