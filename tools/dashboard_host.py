"""Panels of the host page. `$instance` selects the host. Ratios are from 0 to 1, times in seconds."""

from __future__ import annotations

from tools.dashboard_panels import Panel, graph, states, table

H = 'job=~"$job",instance="$instance"'
RATE = "[$__rate_interval]"

HOST = (
    states(
        "findings over time",
        "The level of each subject: 0 healthy, 1 warning, 2 critical.",
        f"max by (check, subject) (vitald_health{{{H}}})",
        "{{check}} {{subject}}",
        height=12,
    ),
    table(
        "verdicts",
        "Every subject that is checked, the worst first, and since when it is not healthy. `vitald status` on the host has the evidence.",
        f"vitald_health{{{H}}}",
        f"vitald_health_since_timestamp_seconds{{{H}}} * 1000",
        severity="severity",
        renamed=(("Value #A", "severity"), ("Value #B", "since")),
        hidden=("instance",),
        times=("since",),
    ),
    table(
        "open faults in logs",
        "Faults that log messages reported and that are not over.",
        f"vitald_log_fault_level{{{H}}}",
        severity="severity",
        renamed=(("Value", "severity"),),
        hidden=("instance",),
    ),
    table("host identity", "Kernel, boot and EC2 instance.", f"vitald_host_info{{{H}}}", width=24, height=5, hidden=("Value",)),
    table(
        "collectors and log sources that cannot be read",
        "Their checks are neither healthy nor faulty: nothing is known. Reason `missing`: the host does not have what they read.",
        f"vitald_collector_available{{{H}}} == 0 or vitald_log_source_available{{{H}}} == 0",
        width=24,
        height=5,
        hidden=("instance", "Value"),
    ),
    graph(
        "round-trip time by target (p50)",
        "SYN to SYN-ACK, measured by the kernel, without retransmissions.",
        "s",
        (f"histogram_quantile(0.5, sum by (target, le) (rate(vitald_probe_rtt_seconds_bucket{{{H}}}{RATE})))", "{{target}}"),
    ),
    graph(
        "connect time",
        "Last connect, retransmissions included: a step of one second is one lost SYN.",
        "s",
        (f"vitald_probe_connect_seconds{{{H}}}", "{{target}}"),
    ),
    graph(
        "SYN loss",
        "Retransmitted SYNs per attempt, over five minutes.",
        "percentunit",
        (f"rate(vitald_probe_syn_retransmits_total{{{H}}}[5m]) / rate(vitald_probe_attempts_total{{{H}}}[5m])", "{{target}}"),
    ),
    graph(
        "failed probes",
        "Failed connects per second by reason; refused and reset are answers of a living host.",
        "ops",
        (f"sum by (target, reason) (rate(vitald_probe_failures_total{{{H}}}{RATE}))", "{{target}} {{reason}}"),
    ),
    graph(
        "DNS lookup time",
        "Duration of the last lookup of each target given by name.",
        "s",
        (f"vitald_probe_dns_seconds{{{H}}}", "{{target}}"),
    ),
    graph(
        "path MTU",
        "Bytes of the largest IP packet that the target answered; a step down is a black hole or a new route.",
        "none",
        (f"vitald_probe_path_mtu_bytes{{{H}}}", "{{target}}"),
    ),
    table(
        "NIC driver",
        "The driver in use, with version, firmware and bus address.",
        f"vitald_nic_driver_info{{{H}}}",
        hidden=("instance", "Value"),
    ),
    table(
        "NIC module of each installed kernel",
        'Do not reboot if the kernel that boots next has origin "missing".',
        f"vitald_nic_module_info{{{H}}}",
        hidden=("instance", "Value"),
    ),
    Panel(
        "graph",
        "offloads",
        ((f"vitald_nic_feature_enabled{{{H}}}", "{{interface}} {{feature}}"),),
        "Offloads of each interface: 1 on, 0 off.",
        "bool_on_off",
    ),
    graph(
        "carrier changes and resets",
        "Changes of the link and resets of the driver, with TX timeouts.",
        "none",
        (f"increase(vitald_nic_carrier_changes_total{{{H}}}{RATE})", "{{interface}}"),
        (f"increase(vitald_nic_resets_total{{{H}}}{RATE})", "{{interface}} {{reason}}"),
    ),
    graph("MTU", "Configured MTU of each interface in bytes.", "none", (f"vitald_nic_mtu_bytes{{{H}}}", "{{interface}}")),
    graph(
        "EC2 allowances exceeded",
        "Packets that EC2 queued or dropped because the instance exceeded an allowance.",
        "pps",
        (f"rate(vitald_nic_allowance_exceeded_total{{{H}}}{RATE})", "{{interface}} {{allowance}}"),
    ),
    graph(
        "tracked connections left (EC2)",
        "Connections that security groups can still track; at 0 new ones are dropped.",
        "none",
        (f"vitald_nic_conntrack_allowance_available{{{H}}}", "{{interface}}"),
        steps=((None, "red"), (1, "transparent")),
    ),
    graph(
        "DHCP lease time left",
        "A sawtooth is healthy; a straight line down is a missed renewal.",
        "s",
        (f"vitald_dhcp_lease_remaining_seconds{{{H}}}", "{{interface}} {{address}}"),
    ),
    Panel(
        "stack",
        "memory by area",
        ((f'vitald_memory_area_bytes{{{H},area!~"tcp_buffers|udp_buffers|ip_fragments|zfs_arc|locked"}}', "{{area}}"),),
        "The areas add up to MemTotal.",
        "bytes",
        12,
    ),
    graph(
        "memory that overlaps the areas, and unaccounted",
        "Socket buffers, fragments and locked pages are part of other areas; unaccounted is what no counter explains.",
        "bytes",
        (f'vitald_memory_area_bytes{{{H},area=~"tcp_buffers|udp_buffers|ip_fragments|zfs_arc|locked|unaccounted"}}', "{{area}}"),
        width=12,
    ),
    graph(
        "growth of unreclaimable kernel memory",
        "Robust slope of the memory that the kernel cannot give back.",
        "Bps",
        (f"vitald_memory_kernel_growth_bytes_per_second{{{H}}}", "growth"),
    ),
    graph("growing slab caches", "The slab caches that grow fastest.", "bytes", (f"vitald_memory_slab_bytes{{{H}}}", "{{cache}}")),
    graph(
        "holders of socket buffers",
        "Processes with the most memory in socket buffers, from the last scan.",
        "bytes",
        (f"vitald_memory_socket_holder_bytes{{{H}}}", "{{comm}} {{pid}}"),
    ),
    graph(
        "log events",
        "Log messages that match a signature.",
        "none",
        (f"increase(vitald_log_events_total{{{H}}}{RATE}) > 0", "{{signature}}"),
        width=12,
    ),
    graph(
        "log bytes read", "Bytes of messages read, by source.", "Bps", (f"rate(vitald_log_bytes_total{{{H}}}{RATE})", "{{source}}"), width=6
    ),
    graph(
        "log loss and lag",
        "Messages that could not be read, and bytes that are not read yet: faults in them are missing or late.",
        "short",
        (f"increase(vitald_log_lost_total{{{H}}}{RATE})", "lost: {{source}} {{reason}}"),
        (f"vitald_log_lag_bytes{{{H}}}", "lag: {{source}}"),
        width=6,
    ),
    graph(
        "collector run time",
        "Duration of the last run, and of a run in progress for more than a minute.",
        "s",
        (f"vitald_collector_duration_seconds{{{H}}}", "{{collector}}"),
        (f"vitald_collector_running_seconds{{{H}}} > 60", "{{collector}} (run in progress)"),
    ),
    graph(
        "age of the last successful run",
        "By the host's own clock; above 1200 s the collector's state is old.",
        "s",
        (
            f"timestamp(vitald_collector_last_success_timestamp_seconds{{{H}}}) - vitald_collector_last_success_timestamp_seconds{{{H}}}",
            "{{collector}}",
        ),
        steps=((None, "transparent"), (1200, "red")),
    ),
    graph(
        "series over the limit",
        "Series that were added to the value `other` because a label has too many values.",
        "none",
        (f"increase(vitald_series_dropped_total{{{H}}}{RATE})", "{{metric}}"),
    ),
)
