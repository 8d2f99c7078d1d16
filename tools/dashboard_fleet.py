"""Panels of the fleet page. `$job` selects the fleet. Ratios are from 0 to 1, times in seconds."""

from __future__ import annotations

from tools.dashboard_panels import graph, number, table

F = 'job=~"$job"'

FLEET = (
    number("hosts up", f"count(up{{{F}}} == 1) or vector(0)"),
    number("agents down", f"count(up{{{F}}} == 0) or vector(0)", description="see AgentDown and HostDown"),
    number("critical", f"count(vitald_health{{{F}}} == 2) or vector(0)"),
    number("warning", f"count(vitald_health{{{F}}} == 1) or vector(0)"),
    number(
        "hosts down",
        f"count(min by (job, host) (vitald:host_down:bool{{{F}}}) == 1) or vector(0)",
        description="unreachable for most of their probers",
    ),
    number("outages per 100 hosts", f"max(vitald:outages_per_100_hosts:1d{{{F}}})", "none", "in the last day"),
    number(
        "versions",
        f"count(count by (version) (vitald_build_info{{{F}}}))",
        description="more than one: a rollout is in progress or incomplete",
    ),
    number("collectors failing", f"count(vitald_collector_success{{{F}}} == 0) or vector(0)"),
    table(
        "findings, with start time",
        f"vitald_health_since_timestamp_seconds{{{F}}} * 1000",
        14,
        "dateTimeAsIso",
        "the instance links to the page of the host",
    ),
    graph(
        "findings by check",
        "none",
        (f"count by (check) (vitald_health{{{F}}} > 0) or 0 * count by (check) (vitald_health{{{F}}})", "{{check}}"),
        width=10,
    ),
    graph("targets: share of probers that fail", "percentunit", (f"vitald:target_unreachable:ratio{{{F}}}", "{{target}}")),
    graph(
        "zone pairs: share of probes that fail",
        "percentunit",
        (f"vitald:zone_pair_unreachable:ratio{{{F}}}", "{{zone}} → {{target_zone}}"),
        (f"vitald:zone_unreachable:ratio{{{F}}}", "within {{zone}}"),
    ),
    graph("probers: share of peers unreachable", "percentunit", (f"topk(10, vitald:prober_unreachable:ratio{{{F}}})", "{{instance}}")),
    graph(
        "round-trip time, fleet",
        "s",
        *(
            (f"histogram_quantile({q}, sum by (le) (rate(vitald_probe_rtt_seconds_bucket{{{F}}}[$__rate_interval])))", f"p{q * 100:g}")
            for q in (0.5, 0.99)
        ),
    ),
    graph("SYN loss by target", "percentunit", (f"topk(10, vitald:target_syn_loss:ratio_rate15m{{{F}}})", "{{target}}")),
    graph("SYN loss by zone pair", "percentunit", (f"vitald:zone_pair_syn_loss:ratio_rate15m{{{F}}}", "{{zone}} → {{target_zone}}")),
    graph(
        "failed probes by reason", "ops", (f"sum by (reason) (rate(vitald_probe_failures_total{{{F}}}[$__rate_interval]))", "{{reason}}")
    ),
    graph(
        "DHCP leases: the ten with the least time left",
        "percentunit",
        (f"bottomk(10, vitald_dhcp_lease_remaining_seconds{{{F}}} / vitald_dhcp_lease_duration_seconds)", "{{instance}} {{address}}"),
        description="share of the lease duration; below 0.45 a renewal was missed",
    ),
    graph(
        "kernel memory: the ten fastest growing hosts",
        "Bps",
        (f"topk(10, vitald_memory_kernel_growth_bytes_per_second{{{F}}})", "{{instance}}"),
    ),
    graph(
        "log events by signature",
        "none",
        (f"topk(10, sum by (signature) (increase(vitald_log_events_total{{{F}}}[1h])))", "{{signature}}"),
        description="in the last hour",
    ),
    graph(
        "EC2 allowances exceeded",
        "pps",
        (
            f"topk(10, sum by (instance, allowance) (rate(vitald_nic_allowance_exceeded_total{{{F}}}[$__rate_interval])))",
            "{{instance}} {{allowance}}",
        ),
    ),
    graph(
        "scrape duration",
        "s",
        (f"quantile(0.5, scrape_duration_seconds{{{F}}})", "median"),
        (f"max(scrape_duration_seconds{{{F}}})", "slowest"),
    ),
    table("NIC drivers", f"count by (driver, version) (vitald_nic_driver_info{{{F}}})", 8),
    table("kernels, instance types and AMIs", f"count by (kernel, instance_type, ami_id) (vitald_host_info{{{F}}})", 8),
    table("vitald versions", f"count by (version, python) (vitald_build_info{{{F}}})", 8),
)
