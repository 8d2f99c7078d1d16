"""Collectors: a package for each, and modules that several use. The lowest layer: it imports nothing of the layers above.

In: a collector's settings and its context. Out: reports, each with verdicts, metrics and panels.
"""
