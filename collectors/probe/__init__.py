"""TCP probes of peers: the kernel's own round trip, lost SYNs, and a reason for every failure."""
