"""The dashboard's host page: `$instance` is the selected host. Ratios are of 1, times in seconds."""

from __future__ import annotations

from tools.dashboard_panels import Panel, graph, table

H = 'job=~"$job",instance="$instance"'

HOST = (
    table("verdicts: 0 healthy, 1 warning, 2 critical", f"vitald_health{{{H}}}", 10),
    table("who", f"vitald_host_info{{{H}}}", 14),
    graph("verdicts", "none", (f"max by (check) (vitald_health{{{H}}})", "{{check}}"), width=24),
    graph(
        "round trip by target (p50)",
        "s",
        (f"histogram_quantile(0.5, sum by (target, le) (rate(vitald_probe_rtt_seconds_bucket{{{H}}}[$__rate_interval])))", "{{target}}"),
        about="the kernel's own, without retransmissions",
    ),
    graph(
        "last connect",
        "s",
        (f"vitald_probe_connect_seconds{{{H}}}", "{{target}}"),
        about="retransmissions included: a step of one second is one lost SYN",
    ),
    graph(
        "lost SYNs",
        "percentunit",
        (f"rate(vitald_probe_syn_retransmits_total{{{H}}}[5m]) / rate(vitald_probe_attempts_total{{{H}}}[5m])", "{{target}}"),
        about="of the attempts",
    ),
    graph(
        "failed probes",
        "ops",
        (f"sum by (target, reason) (rate(vitald_probe_failures_total{{{H}}}[$__rate_interval]))", "{{target}} {{reason}}"),
    ),
    graph("look-up of names", "s", (f"vitald_probe_dns_seconds{{{H}}}", "{{target}}")),
    graph("path MTU", "bytes", (f"vitald_probe_path_mtu_bytes{{{H}}}", "{{target}}")),
    table("NIC driver", f"vitald_nic_driver_info{{{H}}}", 12),
    table("its module in each kernel", f"vitald_nic_module_info{{{H}}}", 12, about="origin missing in the next kernel: do not reboot"),
    graph("offloads", "none", (f"vitald_nic_feature_enabled{{{H}}}", "{{interface}} {{feature}}")),
    graph(
        "carrier changes, resets",
        "none",
        (f"increase(vitald_nic_carrier_changes_total{{{H}}}[$__rate_interval])", "{{interface}}"),
        (f"increase(vitald_nic_resets_total{{{H}}}[$__rate_interval])", "{{interface}} {{reason}}"),
    ),
    graph("MTU", "bytes", (f"vitald_nic_mtu_bytes{{{H}}}", "{{interface}}")),
    graph("EC2 shapes", "pps", (f"rate(vitald_nic_allowance_exceeded_total{{{H}}}[$__rate_interval])", "{{interface}} {{allowance}}")),
    graph("connections EC2 would still track", "none", (f"vitald_nic_conntrack_allowance_available{{{H}}}", "{{interface}}")),
    graph(
        "DHCP lease left",
        "s",
        (f"vitald_dhcp_lease_remaining_seconds{{{H}}}", "{{interface}} {{address}}"),
        about="a saw-tooth is healthy; a straight line down is not",
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
        "of which",
        "bytes",
        (f'vitald_memory_area_bytes{{{H},area=~"tcp_buffers|udp_buffers|ip_fragments|zfs_arc|locked|unaccounted"}}', "{{area}}"),
        width=12,
    ),
    graph("what the kernel holds grows by", "Bps", (f"vitald_memory_kernel_growth_bytes_per_second{{{H}}}", "growth")),
    graph("slab caches that grow", "bytes", (f"vitald_memory_slab_bytes{{{H}}}", "{{cache}}")),
    graph("holders of socket buffers", "bytes", (f"vitald_memory_socket_holder_bytes{{{H}}}", "{{comm}} {{pid}}")),
    graph("log events", "none", (f"increase(vitald_log_events_total{{{H}}}[$__rate_interval]) > 0", "{{signature}}"), width=12),
    graph("logs read", "Bps", (f"rate(vitald_log_bytes_total{{{H}}}[$__rate_interval])", "{{source}}"), width=6),
    graph(
        "logs lost, and behind",
        "short",
        (f"increase(vitald_log_lost_total{{{H}}}[$__rate_interval])", "lost {{source}} {{reason}}"),
        (f"vitald_log_lag_bytes{{{H}}}", "behind {{source}}"),
        width=6,
    ),
    graph(
        "collectors take",
        "s",
        (f"vitald_collector_duration_seconds{{{H}}}", "{{collector}}"),
        (f"vitald_collector_running_seconds{{{H}}} > 60", "{{collector}} is still out"),
    ),
    graph(
        "age of the readings",
        "s",
        (
            f"timestamp(vitald_collector_last_success_timestamp_seconds{{{H}}}) - vitald_collector_last_success_timestamp_seconds{{{H}}}",
            "{{collector}}",
        ),
    ),
    graph("series folded", "none", (f"increase(vitald_series_dropped_total{{{H}}}[$__rate_interval])", "{{metric}}")),
)
