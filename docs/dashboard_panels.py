"""What the dashboard shows: a fleet page and a host page. `$job` is the fleet, `$instance` the host in front of you.

A panel is a line of words and its queries; make_dashboard.py turns them into Grafana's JSON. Ratios are of 1, times in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Panel:
    """One panel. `queries` are pairs of PromQL and legend; `width` is of 24; `unit` is Grafana's name of it."""

    kind: str  # graph, stack, number, table
    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    width: int = 8
    about: str = ""


def graph(title: str, unit: str, *queries: tuple[str, str], width: int = 8, about: str = "") -> Panel:
    """Draw lines over time."""
    return Panel("graph", title, queries, unit, width, about)


def number(title: str, query: str, unit: str = "none", about: str = "") -> Panel:
    """Show one number, now."""
    return Panel("number", title, ((query, ""),), unit, 3, about)


def table(title: str, query: str, width: int = 12, unit: str = "short", about: str = "") -> Panel:
    """Show a row for each series, now."""
    return Panel("table", title, ((query, ""),), unit, width, about)


F = 'job=~"$job"'
H = 'job=~"$job",instance="$instance"'

FLEET = (
    number("hosts up", f"count(up{{{F}}} == 1) or vector(0)"),
    number("agents gone", f"count(up{{{F}}} == 0) or vector(0)", about="AgentGone, or HostDown"),
    number("critical", f"count(vitald_health{{{F}}} == 2) or vector(0)"),
    number("warning", f"count(vitald_health{{{F}}} == 1) or vector(0)"),
    number("hosts down", f"count(min by (job, host) (vitald:host_down:bool{{{F}}}) == 1) or vector(0)", about="by most of their probers"),
    number("outages per 100 hosts", f"max(vitald:outages_per_100_hosts:1d{{{F}}})", "none", "in the last day"),
    number("versions", f"count(count by (version) (vitald_build_info{{{F}}}))", about="more than one: a rollout is under way, or stuck"),
    number("collectors failing", f"count(vitald_collector_success{{{F}}} == 0) or vector(0)"),
    table(
        "findings: since when",
        f"vitald_health_since_timestamp_seconds{{{F}}} * 1000",
        14,
        "dateTimeAsIso",
        "a host's name leads to its page",
    ),
    graph(
        "findings by check",
        "none",
        (f"count by (check) (vitald_health{{{F}}} > 0) or 0 * count by (check) (vitald_health{{{F}}})", "{{check}}"),
        width=10,
    ),
    graph("targets: share of probers that cannot reach them", "percentunit", (f"vitald:target_unreachable:ratio{{{F}}}", "{{target}}")),
    graph(
        "from zone to zone: share of pairs that fail",
        "percentunit",
        (f"vitald:zone_pair_unreachable:ratio{{{F}}}", "{{zone}} → {{target_zone}}"),
        (f"vitald:zone_unreachable:ratio{{{F}}}", "within {{zone}}"),
    ),
    graph(
        "probers: share of peers they cannot reach", "percentunit", (f"topk(10, vitald:prober_unreachable:ratio{{{F}}})", "{{instance}}")
    ),
    graph(
        "round trip of the fleet",
        "s",
        *(
            (f"histogram_quantile({q}, sum by (le) (rate(vitald_probe_rtt_seconds_bucket{{{F}}}[$__rate_interval])))", f"p{q * 100:g}")
            for q in (0.5, 0.99)
        ),
    ),
    graph("lost SYNs by target", "percentunit", (f"topk(10, vitald:target_syn_loss:ratio_rate15m{{{F}}})", "{{target}}")),
    graph("lost SYNs from zone to zone", "percentunit", (f"vitald:zone_pair_syn_loss:ratio_rate15m{{{F}}}", "{{zone}} → {{target_zone}}")),
    graph(
        "failed probes by reason", "ops", (f"sum by (reason) (rate(vitald_probe_failures_total{{{F}}}[$__rate_interval]))", "{{reason}}")
    ),
    graph(
        "leases: the ten shortest",
        "percentunit",
        (f"bottomk(10, vitald_dhcp_lease_remaining_seconds{{{F}}} / vitald_dhcp_lease_seconds)", "{{instance}} {{address}}"),
        about="of the whole lease; below 0.45 a renewal was missed",
    ),
    graph(
        "kernel memory: the ten that grow fastest",
        "Bps",
        (f"topk(10, vitald_memory_kernel_growth_bytes_per_second{{{F}}})", "{{instance}}"),
    ),
    graph(
        "log events by signature",
        "none",
        (f"topk(10, sum by (signature) (increase(vitald_log_events_total{{{F}}}[1h])))", "{{signature}}"),
        about="in the last hour",
    ),
    graph(
        "EC2 shapes",
        "pps",
        (
            f"topk(10, sum by (instance, allowance) (rate(vitald_nic_allowance_exceeded_total{{{F}}}[$__rate_interval])))",
            "{{instance}} {{allowance}}",
        ),
    ),
    graph(
        "a scrape takes",
        "s",
        (f"quantile(0.5, scrape_duration_seconds{{{F}}})", "median"),
        (f"max(scrape_duration_seconds{{{F}}})", "slowest"),
    ),
    table("NIC drivers", f"count by (driver, version) (vitald_nic_driver_info{{{F}}})", 8),
    table("kernels, types and images", f"count by (kernel, instance_type, ami_id) (vitald_host_info{{{F}}})", 8),
    table("versions of vitald", f"count by (version, python) (vitald_build_info{{{F}}})", 8),
)

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
        ((f'vitald_memory_kernel_bytes{{{H},area!~"tcp_buffers|udp_buffers|ip_fragments|zfs_arc|locked"}}', "{{area}}"),),
        "bytes",
        12,
        "the areas add up to MemTotal",
    ),
    graph(
        "of which",
        "bytes",
        (f'vitald_memory_kernel_bytes{{{H},area=~"tcp_buffers|udp_buffers|ip_fragments|zfs_arc|locked|unaccounted"}}', "{{area}}"),
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
