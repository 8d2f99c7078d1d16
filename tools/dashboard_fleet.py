"""The dashboard's fleet page: `$job` is the fleet. Ratios are of 1, times in seconds."""

from __future__ import annotations

from tools.dashboard_panels import graph, number, table

F = 'job=~"$job"'

FLEET = (
    number("hosts up", f"count(up{{{F}}} == 1) or vector(0)"),
    number("agents gone", f"count(up{{{F}}} == 0) or vector(0)", about="AgentDown, or HostDown"),
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
        (f"bottomk(10, vitald_dhcp_lease_remaining_seconds{{{F}}} / vitald_dhcp_lease_duration_seconds)", "{{instance}} {{address}}"),
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
