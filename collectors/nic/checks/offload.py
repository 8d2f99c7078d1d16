"""Are the offloads as policy asks, and none left in a state that is known to hurt? Pure."""

from __future__ import annotations

import re
from shlex import quote
from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict
from collectors.nic import known_issues as rules
from collectors.nic.change_history import since

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.nic.readers.features import Feature
    from collectors.nic.reading import Nic


def offload_verdict(nic: Nic, release: str) -> Verdict:
    """Judge the offloads: what policy asks for, and what is known to hurt under this driver."""
    if nic.driver_name in rules.XEN:
        rocket = _xen(nic, release)
        if rocket is not None:
            return rocket
    wrong = list(_drift(nic))
    if not wrong:
        return Verdict("nic_offload", nic.link.name, Level.HEALTHY, "", _offloads(nic))
    reasons = dict.fromkeys(reason for *_, reason in wrong)
    text = f"{'; '.join(said for *_, said, _ in wrong)}: {'; '.join(reasons)}"
    switches = " ".join(f"{name} {'on' if on else 'off'}" for name, on, changeable, *_ in wrong if changeable)
    remediation = f"ethtool -K {quote(nic.link.name)} {switches}" if switches else "this driver cannot switch it: change nic.policy"
    return Verdict("nic_offload", nic.link.name, Level.WARNING, text, _offloads(nic), remediation)


def _drift(nic: Nic) -> Iterator[tuple[str, bool, bool, str, str]]:
    """Give each offload that is not as it should be: name, should be on, changeable, sentence, reason. `off [fixed]` is never drift."""
    asked = {rule.feature: (rule.on, f"{rule.reason} ({rule.source})") for rule in rules.WISHES if rule.driver == nic.driver_name}
    asked |= {name: (on, "nic.policy asks for it") for name, on in nic.wanted.offloads.items()}
    for name, (on, reason) in asked.items():
        state = nic.features.get(name)
        if state is None or state.active == on or (state.fixed and on):
            continue
        said = f"{name} is {_spoken(state)}, should be {'on' if on else 'off'}, {since(nic.changes.get(name))}"
        yield name, on, not state.fixed, said, reason


def _spoken(state: Feature) -> str:
    if state.active:
        return "on [fixed]" if state.fixed else "on"
    return "requested on but actually off" if state.requested and not state.fixed else "off"


def _offloads(nic: Nic) -> dict[str, str]:
    return {name: f"{'on' if state.active else 'off'}{' [fixed]' if state.fixed else ''}" for name, state in nic.features.items()}


def kernel_number(release: str) -> tuple[int, int]:
    """Give a kernel's first two numbers; (0, 0) where there are none."""
    match = re.match(r"(\d{1,4})\.(\d{1,4})", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _xen(nic: Nic, release: str) -> Verdict | None:
    """Weigh xen_netfront's two faults, which contradict each other, by kernel. Users' own word on `sg` ends the matter."""
    state, name = nic.features.get("sg"), nic.link.name
    if state is None or "sg" in nic.wanted.offloads:
        return None
    linearises = kernel_number(release) >= rules.XEN_LINEARISES
    evidence: dict[str, Any] = {"sg": _spoken(state), "mtu": nic.link.mtu, "kernel": release}
    if linearises and not state.active and not state.fixed:
        text = (
            f"sg is {_spoken(state)}: this kernel needs no rocket workaround (it linearises such packets), pays throughput for it "
            f"and lowers the MTU to 1500 (now {nic.link.mtu}). {rules.XEN_ROCKET}"
        )
        return Verdict(
            "nic_offload",
            name,
            Level.WARNING,
            text,
            evidence,
            f"ethtool -K {quote(name)} sg on && ip link set {quote(name)} mtu {rules.JUMBO}",
        )
    if linearises or kernel_number(release) == (0, 0):
        return None
    remediation = "update the kernel (3.17 or newer), or move to enhanced networking (ENA)"
    if state.active:
        return Verdict(
            "nic_offload",
            name,
            Level.WARNING,
            f"sg is on under kernel {release}. {rules.XEN_ROCKET}",
            evidence,
            f"{remediation}; until then: ethtool -K {quote(name)} sg off with MTU {rules.JUMBO}",
        )
    if nic.link.mtu is not None and nic.link.mtu < rules.JUMBO:
        return Verdict(
            "nic_offload",
            name,
            Level.WARNING,
            f"sg is off with MTU {nic.link.mtu} under kernel {release}. {rules.XEN_ROCKET}",
            evidence,
            f"{remediation}; until then: ip link set {quote(name)} mtu {rules.JUMBO}",
        )
    return None
