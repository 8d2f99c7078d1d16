"""Kernel memory collector. In: /proc and /sys; out: the ledger (memory by area), its growth and holders, and the time until exhaustion.

`ledger` computes the areas, `procfs/` has the parsers, `trend/` the leak detection, `holders/` the scan for the processes behind it,
which the collector's `follow_up()` starts.
"""
