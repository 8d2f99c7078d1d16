"""The families of `[memory]`; their names are in the contract."""

from __future__ import annotations

from collectors.model import Family, Kind

KERNEL = Family(
    "memory_area_bytes",
    Kind.GAUGE,
    "Memory by area. tcp_buffers, udp_buffers, ip_fragments, zfs_arc and locked overlap the others, which add up to MemTotal.",
    ("area",),
    cap=40,
)
GROWTH = Family(
    "memory_kernel_growth_bytes_per_second",
    Kind.GAUGE,
    "Robust slope of what the kernel holds and cannot give back.",
)
EXHAUSTION = Family(
    "memory_exhaustion_seconds",
    Kind.GAUGE,
    "Until what is available is gone at that slope; +Inf unless it is sure that it grows.",
)
SLAB = Family("memory_slab_bytes", Kind.GAUGE, "Size of the slab caches that grew most.", ("cache",), cap=20)
HOLDER = Family(
    "memory_socket_holder_bytes", Kind.GAUGE, "Socket buffers by process: the top holders of the last look.", ("comm", "pid"), cap=20
)
