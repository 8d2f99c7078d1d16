"""The daemon: scheduling and threads, settings, state, logging, signals and the command line.

In: settings, collectors and an exporter. Out: each collector's newest report on the `Board`, for the exporter, systemd and the log.
"""
