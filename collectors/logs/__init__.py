"""Logs collector: counts each fault that the kernel, DHCP clients and other programs log, once. Log sources in, one verdict per family out.

`recorder` reads `sources` (which follow files by `tailing`), matches their lines against the packs in `signatures` by `matching`, and
saves positions and counts together (`state`). `fault_lifetime` decides when a fault begins and ends, for the daemon
and for `scan`; a renewed lease ends DHCP faults, too (`fault_tracker`).
"""
