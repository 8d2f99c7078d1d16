"""Panels of the host page. `$instance` selects the host. Ratios are from 0 to 1, times in seconds."""

from __future__ import annotations

from tools.dashboard_panels import Panel, graph, table

H = 'job=~"$job",instance="$instance"'

HOST = (
    table("verdicts: 0 healthy, 1 warning, 2 critical", f"vitald_health{{{H}}}", 10),
    table("host identity", f"vitald_host_info{{{H}}}", 14),
    graph("verdicts", "none", (f"max by (check) (vitald_health{{{H}}})", "{{check}}"), width=24),
    graph(
        "round-trip time by target (p50)",
        "s",
        (f"histogram_quantile(0.5, sum by (target, le) (rate(vitald_probe_rtt_seconds_bucket{{{H}}}[$__rate_interval])))", "{{target}}"),
        description="measured by the kernel, without retransmissions",
    ),
    graph(
        "connect time",
        "s",
        (f"vitald_probe_connect_seconds{{{H}}}", "{{target}}"),
        description="last connect, retransmissions included: a step of one second is one lost SYN",
    ),
    graph(
        "SYN loss",
        "percentunit",
        (f"rate(vitald_probe_syn_retransmits_total{{{H}}}[5m]) / rate(vitald_probe_attempts_total{{{H}}}[5m])", "{{target}}"),
        description="retransmitted SYNs per attempt",
    ),
    graph(
        "failed probes",
        "ops",
        (f"sum by (target, reason) (rate(vitald_probe_failures_total{{{H}}}[$__rate_interval]))", "{{target}} {{reason}}"),
    ),
    graph("DNS lookup time", "s", (f"vitald_probe_dns_seconds{{{H}}}", "{{target}}")),
    graph("path MTU", "bytes", (f"vitald_probe_path_mtu_bytes{{{H}}}", "{{target}}")),
    table("NIC driver", f"vitald_nic_driver_info{{{H}}}", 12),
    table(
        "NIC module of each installed kernel",
        f"vitald_nic_module_info{{{H}}}",
        12,
        description='do not reboot if the next kernel has origin "missing"',
    ),
    graph("offloads", "none", (f"vitald_nic_feature_enabled{{{H}}}", "{{interface}} {{feature}}")),
    graph(
        "carrier changes and resets",
        "none",
        (f"increase(vitald_nic_carrier_changes_total{{{H}}}[$__rate_interval])", "{{interface}}"),
        (f"increase(vitald_nic_resets_total{{{H}}}[$__rate_interval])", "{{interface}} {{reason}}"),
    ),
    graph("MTU", "bytes", (f"vitald_nic_mtu_bytes{{{H}}}", "{{interface}}")),
    graph(
        "EC2 allowances exceeded",
        "pps",
        (f"rate(vitald_nic_allowance_exceeded_total{{{H}}}[$__rate_interval])", "{{interface}} {{allowance}}"),
    ),
    graph("tracked connections left (EC2)", "none", (f"vitald_nic_conntrack_allowance_available{{{H}}}", "{{interface}}")),
    graph(
        "DHCP lease time left",
        "s",
        (f"vitald_dhcp_lease_remaining_seconds{{{H}}}", "{{interface}} {{address}}"),
        description="a sawtooth is healthy; a straight line down is a missed renewal",
    ),
    Panel(
        "stack",
        "memory by area",
        ((f'vitald_memory_area_bytes{{{H},area!~"tcp_buffers|udp_buffers|ip_fragments|zfs_arc|locked"}}', "{{area}}"),),
        "bytes",
        12,
        "the areas add up to MemTotal",
    ),
    graph(
        "memory that overlaps the areas, and unaccounted",
        "bytes",
        (f'vitald_memory_area_bytes{{{H},area=~"tcp_buffers|udp_buffers|ip_fragments|zfs_arc|locked|unaccounted"}}', "{{area}}"),
        width=12,
    ),
    graph("growth of unreclaimable kernel memory", "Bps", (f"vitald_memory_kernel_growth_bytes_per_second{{{H}}}", "growth")),
    graph("growing slab caches", "bytes", (f"vitald_memory_slab_bytes{{{H}}}", "{{cache}}")),
    graph("holders of socket buffers", "bytes", (f"vitald_memory_socket_holder_bytes{{{H}}}", "{{comm}} {{pid}}")),
    graph("log events", "none", (f"increase(vitald_log_events_total{{{H}}}[$__rate_interval]) > 0", "{{signature}}"), width=12),
    graph("log bytes read", "Bps", (f"rate(vitald_log_bytes_total{{{H}}}[$__rate_interval])", "{{source}}"), width=6),
    graph(
        "log loss and lag",
        "short",
        (f"increase(vitald_log_lost_total{{{H}}}[$__rate_interval])", "lost: {{source}} {{reason}}"),
        (f"vitald_log_lag_bytes{{{H}}}", "lag: {{source}}"),
        width=6,
    ),
    graph(
        "collector run time",
        "s",
        (f"vitald_collector_duration_seconds{{{H}}}", "{{collector}}"),
        (f"vitald_collector_running_seconds{{{H}}} > 60", "{{collector}} (run in progress)"),
    ),
    graph(
        "age of the last successful run",
        "s",
        (
            f"timestamp(vitald_collector_last_success_timestamp_seconds{{{H}}}) - vitald_collector_last_success_timestamp_seconds{{{H}}}",
            "{{collector}}",
        ),
    ),
    graph("series over the limit", "none", (f"increase(vitald_series_dropped_total{{{H}}}[$__rate_interval])", "{{metric}}")),
)
