"""Panels of the fleet page. `$job` and `$zone` select the fleet. Ratios are from 0 to 1, times in seconds."""

from __future__ import annotations

from tools.dashboard_panels import BAD, WORSE, graph, number, states, table

F = 'job=~"$job",zone=~"$zone"'
T = 'job=~"$job",target_zone=~"$zone"'  # of recording rules about targets
FIRING = f'ALERTS{{{F},alertstate="firing",severity=~"page|ticket"}}'


def with_runbook(series: str) -> str:
    """Return alerts with the label `runbook`: its URL where the variable `runbooks` has one, else the command that prints it."""
    command = f'label_replace({series}, "runbook", "vitald runbook ${{1}}", "alertname", "(.*)")'
    both = f'label_join(label_replace({command}, "url", "$runbooks", "", ""), "both", ";", "url", "alertname")'
    return f'label_replace({both}, "runbook", "${{1}}/${{2}}.md", "both", "(.+);(.*)")'


FLEET = (
    number("hosts up", "Hosts whose agent was scraped.", f"count(up{{{F}}} == 1) or vector(0)"),
    number(
        "agents down",
        "Agents that cannot be scraped; see the alerts AgentDown and HostDown.",
        f"count(up{{{F}}} == 0) or vector(0)",
        steps=BAD,
    ),
    number("critical", "Subjects with a critical finding.", f"count(vitald_health{{{F}}} == 2) or vector(0)", steps=BAD),
    number("warning", "Subjects with a warning.", f"count(vitald_health{{{F}}} == 1) or vector(0)", steps=WORSE),
    number(
        "hosts down",
        "Hosts that answer none of most of their probers, on no port.",
        f"count(min by (job, host) (vitald:host_down:bool{{{T}}}) == 1) or vector(0)",
        steps=BAD,
    ),
    number(
        "outages per 100 hosts",
        "Outages of hosts in the last day.",
        'max(vitald:outages_per_100_hosts:1d{job=~"$job"})',
        steps=((None, "green"), (1, "orange"), (5, "red")),
    ),
    number(
        "versions",
        "Versions of vitald that run: with more than one, a rollout is in progress or incomplete.",
        f"count(count by (version) (vitald_build_info{{{F}}}))",
        steps=((None, "green"), (2, "orange")),
    ),
    number(
        "could not tell",
        "Collectors and log sources that failed or may not be read: their checks are neither healthy nor faulty.",
        f"(count(vitald_collector_success{{{F}}} == 0) or vector(0))"
        f' + (count(vitald_collector_available{{{F},reason=~"permission|failing"}} == 0) or vector(0))'
        f' + (count(vitald_log_source_available{{{F},reason=~"permission|failing"}} == 0) or vector(0))',
        steps=WORSE,
    ),
    table(
        "alerts that fire",
        "Pages and tickets. The runbook is a URL if the dashboard was printed with --runbooks.url, else a command for the host.",
        with_runbook(FIRING),
        width=24,
        hidden=("alertstate", "url", "both", "Value"),
        renamed=(("alertname", "alert"),),
    ),
    table(
        "findings",
        "Subjects that are not healthy, the worst first, and since when. The host links to its page.",
        f"vitald_health{{{F}}} > 0",
        f"vitald_health_since_timestamp_seconds{{{F}}} * 1000",
        width=14,
        height=9,
        severity="severity",
        renamed=(("Value #A", "severity"), ("Value #B", "since"), ("instance", "host")),
        times=("since",),
    ),
    graph(
        "findings by check",
        "Number of subjects that are not healthy, by check.",
        "none",
        (f"count by (check) (vitald_health{{{F}}} > 0) or 0 * count by (check) (vitald_health{{{F}}})", "{{check}}"),
        width=10,
    ),
    states(
        "hosts: worst finding",
        "The worst level of each host that has a finding, over time.",
        f"max by (instance) (vitald_health{{{F}}}) > 0",
        "{{instance}}",
    ),
    table(
        "open faults in logs",
        "Faults that log messages reported and that are not over: what the message means, the device, and the unit that wrote it.",
        f"vitald_log_fault_level{{{F}}}",
        width=24,
        severity="severity",
        renamed=(("Value", "severity"), ("instance", "host")),
    ),
    graph(
        "targets: share of probers that fail",
        "Share of the agents that probe a target and get no answer; above 0.5 the target is at fault, not a prober.",
        "percentunit",
        (f"vitald:target_unreachable:ratio{{{T}}}", "{{target}}"),
        steps=((None, "transparent"), (0.5, "red")),
    ),
    graph(
        "zone pairs: share of probes that fail",
        "Between two availability zones, and within each.",
        "percentunit",
        (f"vitald:zone_pair_unreachable:ratio{{{F}}}", "{{zone}} → {{target_zone}}"),
        (f"vitald:zone_unreachable:ratio{{{F}}}", "within {{zone}}"),
        steps=((None, "transparent"), (0.5, "red")),
    ),
    graph(
        "probers: share of peers unreachable",
        "The ten hosts that reach the fewest peers; above 0.5 the host itself is at fault.",
        "percentunit",
        (f"topk(10, vitald:prober_unreachable:ratio{{{F}}})", "{{instance}}"),
        steps=((None, "transparent"), (0.5, "red")),
    ),
    graph(
        "round-trip time, fleet",
        "SYN to SYN-ACK, measured by the kernel, without retransmissions.",
        "s",
        *(
            (f"histogram_quantile({q}, sum by (le) (rate(vitald_probe_rtt_seconds_bucket{{{F}}}[$__rate_interval])))", f"p{q * 100:g}")
            for q in (0.5, 0.99)
        ),
    ),
    graph(
        "SYN loss by target",
        "The ten targets that lose the most SYNs: retransmitted SYNs as a share of all, over 15 minutes.",
        "percentunit",
        (f"topk(10, vitald:target_syn_loss:ratio_rate15m{{{T}}})", "{{target}}"),
    ),
    graph(
        "SYN loss by zone pair",
        "Retransmitted SYNs as a share of all, over 15 minutes, without targets that were down.",
        "percentunit",
        (f"vitald:zone_pair_syn_loss:ratio_rate15m{{{F}}}", "{{zone}} → {{target_zone}}"),
    ),
    graph(
        "failed probes by reason",
        "Failed connects per second; refused and reset are answers of a living host.",
        "ops",
        (f"sum by (reason) (rate(vitald_probe_failures_total{{{F}}}[$__rate_interval]))", "{{reason}}"),
    ),
    graph(
        "DHCP leases: the ten with the least time left",
        "Share of the lease duration that is left; below 0.45 a renewal was missed.",
        "percentunit",
        (f"bottomk(10, vitald_dhcp_lease_remaining_seconds{{{F}}} / vitald_dhcp_lease_duration_seconds)", "{{instance}} {{address}}"),
        steps=((None, "red"), (0.2, "orange"), (0.45, "transparent")),
    ),
    graph(
        "kernel memory: the ten fastest growing hosts",
        "Growth of unreclaimable kernel memory: a robust slope, so that bursts do not count.",
        "Bps",
        (f"topk(10, vitald_memory_kernel_growth_bytes_per_second{{{F}}})", "{{instance}}"),
    ),
    graph(
        "log events by signature",
        "The ten signatures with the most log messages in the last hour.",
        "none",
        (f"topk(10, sum by (signature) (increase(vitald_log_events_total{{{F}}}[1h])))", "{{signature}}"),
    ),
    graph(
        "EC2 allowances exceeded",
        "Packets that EC2 queued or dropped because the instance exceeded an allowance.",
        "pps",
        (
            f"topk(10, sum by (instance, allowance) (rate(vitald_nic_allowance_exceeded_total{{{F}}}[$__rate_interval])))",
            "{{instance}} {{allowance}}",
        ),
    ),
    graph(
        "scrape duration",
        "Time of a scrape of an agent: median and slowest.",
        "s",
        (f"quantile(0.5, scrape_duration_seconds{{{F}}})", "median"),
        (f"max(scrape_duration_seconds{{{F}}})", "slowest"),
    ),
    table(
        "NIC drivers",
        "Interfaces by driver and version.",
        f"count by (driver, version) (vitald_nic_driver_info{{{F}}})",
        width=8,
        renamed=(("Value", "interfaces"),),
    ),
    table(
        "kernels, instance types and AMIs",
        "Hosts by kernel, instance type and AMI.",
        f"count by (kernel, instance_type, ami_id) (vitald_host_info{{{F}}})",
        width=8,
        renamed=(("Value", "hosts"),),
    ),
    table(
        "vitald versions",
        "Hosts by version of vitald and of Python.",
        f"count by (version, python) (vitald_build_info{{{F}}})",
        width=8,
        renamed=(("Value", "hosts"),),
    ),
)
