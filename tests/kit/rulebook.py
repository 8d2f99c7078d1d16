"""Shipped rules and their promtool cases, parsed for tests."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "exporters/prometheus/rules").glob("*.yml"))
CASES = sorted((ROOT / "tests/exporters/prometheus/rules").glob("*.test.yml"))
RUNBOOKS = ROOT / "exporters/prometheus/rules/runbooks"
CONTRACT = (ROOT / "docs/contract.md").read_text()


@cache
def load(file: Path) -> Any:
    """Return the parsed file, cached. Callers must not modify it."""
    return yaml.safe_load(file.read_text())


def rules(file: Path) -> Iterator[dict[str, Any]]:
    """Return every rule of a file, including recording rules."""
    for group in load(file)["groups"]:
        yield from group["rules"]


def alerts() -> dict[str, dict[str, Any]]:
    """Return every alert by its name; a duplicate name is an error."""
    found: dict[str, dict[str, Any]] = {}
    for file in RULES:
        for rule in rules(file):
            if "alert" in rule:
                assert rule["alert"] not in found, f"{file}: {rule['alert']} is defined twice"
                found[rule["alert"]] = rule
    return found


@dataclass(frozen=True)
class Case:
    """One `promtool test rules` group: its alert, and the expected number of firing alerts by time in seconds."""

    alert: str
    not_firing: str  # reason why the alert must not fire, empty if it must
    firing: dict[int, int]
    series: tuple[str, ...]


@cache
def cases() -> tuple[Case, ...]:
    return tuple(_cases())


def _cases() -> Iterator[Case]:
    for file in CASES:
        for group in load(file)["tests"]:
            alert, _, not_firing = group["name"].partition(": not firing: ")
            checks = [test for test in group["promql_expr_test"] if f'alertname="{alert}"' in test["expr"]]
            firing = {seconds(test["eval_time"]): len(test["exp_samples"]) for test in checks}
            yield Case(alert, not_firing, firing, tuple(entry["series"] for entry in group["input_series"]))


def seconds(text: str) -> int:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smhd])", text))


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)


def names(expression: str) -> set[str]:
    """Return the vitald metrics that a PromQL expression reads: families and recorded series."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", expression)
    return set(re.findall(r"\bvitald[_:][a-zA-Z0-9_:]+", bare))


def exported() -> set[str]:
    """Return every series of the contract and every recorded series."""
    families = set()
    for cell in re.findall(r"`(vitald_\w+)(?:\{\w+\})?`", CONTRACT):
        families |= {cell, f"{cell}_bucket", f"{cell}_count", f"{cell}_sum"}
    return families | {rule["record"] for file in RULES for rule in rules(file) if "record" in rule}
