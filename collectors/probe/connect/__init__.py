"""Connect probes: destinations in, one ProbeResult for each out.

`sweep` connects to many at once; `half_open` sends bare SYNs by the packet helper. `icmp_errors` and `local_errors` classify failures.
"""
