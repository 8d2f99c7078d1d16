"""Time, threads, settings, signals and the command line."""
