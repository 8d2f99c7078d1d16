"""Synthetic fleets as series, and the expected results of the recording rules, evaluated by promtool."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


RULES = Path(__file__).parents[4] / "exporters/prometheus/rules/blame.yml"
LOCAL = {"permission", "local_resources", "dns_timeout"}


def zone(host: int) -> str:
    """Return the zone of a host: a, b and c in turn."""
    return "abc"[host % 3]


def agent(host: int) -> str:
    return f"10.0.0.{host}:9100"


def target(host: int) -> str:
    return f"10.0.0.{host}:22"


@dataclass
class Fleet:
    """Hosts that all probe each other for ten minutes. `fails(prober, target)` returns the failure reason of these probes, or None."""

    hosts: Iterable[int] = range(1, 13)
    silent: set[int] = field(default_factory=set)  # down or not scraped: they have no series
    fails: Callable[[int, int], str | None] = lambda _prober, _target: None
    identity: str = "mesh"

    def series(self) -> list[dict[str, str]]:
        found = []
        for prober, probed in itertools.permutations(self.hosts, 2):
            if prober in self.silent:
                continue
            reason = self.fails(prober, probed)
            labels = f'job="vitald", instance="{agent(prober)}", target="{target(probed)}", target_zone="{zone(probed)}"'
            found.append({"series": f"vitald_probe_attempts_total{{{labels}}}", "values": "0+3x40"})
            for each in {"timeout", "refused", "reset", "prohibited", "host_unreachable", "net_unreachable", *LOCAL}:
                values = "0+3x40" if each == reason else "0x40"
                found.append({"series": f'vitald_probe_failures_total{{{labels}, reason="{each}"}}', "values": values})
        return found + [self._own(host) for host in self.hosts if host not in self.silent]

    def _own(self, host: int) -> dict[str, str]:
        labels = f'job="vitald", instance="{agent(host)}"'
        if self.identity == "mesh":
            own = f'vitald_probe_mesh_self_info{{{labels}, target="{target(host)}", target_zone="{zone(host)}"}}'
        else:
            own = f'vitald_host_info{{{labels}, hostname="h{host}", availability_zone="{zone(host)}"}}'
        return {"series": own, "values": "1x40"}


def check(folder: Path, series: list[dict[str, str]], expected: dict[str, dict[str, float]], at: str = "8m") -> None:
    """Evaluate the rules over series; `expected` is the complete result of each query as labels → value."""
    cases = [
        {"expr": query, "eval_time": at, "exp_samples": [{"labels": labels, "value": value} for labels, value in answer.items()]}
        for query, answer in expected.items()
    ]
    test = {"interval": "15s", "input_series": series, "promql_expr_test": cases}
    path = folder / "test.json"  # JSON is YAML
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "30s", "tests": [test]}))
    promtool = shutil.which("promtool") or "promtool"
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def at_fault(*, targets: Iterable[int] = (), probers: Iterable[int] = (), pairs: Iterable[str] = ()) -> dict[str, dict[str, float]]:
    """Return the expected results: these are at fault, and no others."""
    return {
        "vitald:target_down:bool == 1": {
            f'vitald:target_down:bool{{job="vitald", target="{target(host)}", target_zone="{zone(host)}"}}': 1 for host in targets
        },
        "vitald:prober_at_fault:bool == 1": {
            f'vitald:prober_at_fault:bool{{job="vitald", instance="{agent(host)}", zone="{zone(host)}"}}': 1 for host in probers
        },
        "vitald:zone_pair_at_fault:bool == 1": {
            f'vitald:zone_pair_at_fault:bool{{job="vitald", zone="{pair[0]}", target_zone="{pair[1]}"}}': 1 for pair in pairs
        },
    }


def counted(name: str, number: float) -> dict[str, dict[str, float]]:
    return {f"count({name})": {"{}": number}}
