"""Check `nic_offload`: offloads are as policy requires, and none is in a state known to cause faults. Pure."""

from __future__ import annotations

import re
from shlex import quote
from typing import TYPE_CHECKING, NamedTuple

from collectors.model import Level, Verdict
from collectors.nic import known_issues
from collectors.nic.change_history import since_clause
from collectors.text import known_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.nic.readers.features import Feature
    from collectors.nic.reading import Nic


class _Drift(NamedTuple):
    """An offload that is not as it should be."""

    feature: str
    should_be_on: bool
    is_changeable: bool
    text: str
    reason: str


def offload_verdict(nic: Nic, release: str) -> Verdict:
    """Judge the offloads: by policy, and by what is known of this driver."""
    if nic.driver_name in known_issues.XEN and (verdict := _xen_verdict(nic, release)) is not None:
        return verdict
    if not (drifts := list(_drifts(nic))):
        return Verdict("nic_offload", nic.link.name, Level.HEALTHY, "", _states(nic))
    reasons = dict.fromkeys(drift.reason for drift in drifts)
    text = f"{'; '.join(drift.text for drift in drifts)}: {'; '.join(reasons)}"
    switches = " ".join(f"{drift.feature} {_on_off(on=drift.should_be_on)}" for drift in drifts if drift.is_changeable)
    remediation = f"ethtool -K {quote(nic.link.name)} {switches}" if switches else "this driver cannot switch it: change nic.policy"
    return Verdict("nic_offload", nic.link.name, Level.WARNING, text, _states(nic), remediation)


def _drifts(nic: Nic) -> Iterator[_Drift]:
    """Return the offloads that are not as they should be; `off [fixed]` is no drift."""
    rules = (rule for rule in known_issues.OFFLOAD_RULES if rule.driver == nic.driver_name)
    required = {rule.feature: (rule.on, f"{rule.reason} ({rule.source})") for rule in rules}
    required |= {name: (on, "nic.policy requires it") for name, on in nic.required.offloads.items()}
    for name, (on, reason) in required.items():
        state = nic.features.get(name)
        if state is None or state.active == on or (state.fixed and on):
            continue
        text = f"{name} is {_state(state)}, should be {_on_off(on=on)}{since_clause(nic.changes.get(name))}"
        yield _Drift(name, on, not state.fixed, text, reason)


def _on_off(*, on: bool) -> str:
    return "on" if on else "off"


def _state(state: Feature) -> str:
    if state.active:
        return "on [fixed]" if state.fixed else "on"
    return "requested on but actually off" if state.requested and not state.fixed else "off"


def _states(nic: Nic) -> dict[str, str]:
    return {name: f"{_on_off(on=state.active)}{' [fixed]' if state.fixed else ''}" for name, state in nic.features.items()}


def kernel_number(release: str) -> tuple[int, int]:
    """Return the first two numbers of a kernel's release; (0, 0) where there are none."""
    match = re.match(r"(\d{1,4})\.(\d{1,4})", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _xen_verdict(nic: Nic, release: str) -> Verdict | None:
    """Judge xen_netfront's two faults, of which each fix causes the other, by kernel. A policy for `sg` takes precedence."""
    state, name, mtu = nic.features.get("sg"), nic.link.name, nic.link.mtu
    if state is None or "sg" in nic.required.offloads:
        return None
    linearises = kernel_number(release) >= known_issues.XEN_LINEARISES
    set_mtu = f"ip link set {quote(name)} mtu {known_issues.JUMBO_MTU}"
    until_then = "update the kernel (3.17 or newer), or change to enhanced networking (ENA); until then"
    if linearises and not state.active and not state.fixed:
        text = (
            f"sg is {_state(state)}: this kernel linearises such packets and needs no workaround, which costs throughput "
            f"and lowers the MTU to 1500{f' (now {mtu})' if mtu is not None else ''}"
        )
        remediation = f"ethtool -K {quote(name)} sg on && {set_mtu}"
    elif linearises or kernel_number(release) == (0, 0):
        return None
    elif state.active:
        text = f"sg is on under kernel {release}"
        remediation = f"{until_then}: ethtool -K {quote(name)} sg off with MTU {known_issues.JUMBO_MTU}"
    elif mtu is not None and mtu < known_issues.JUMBO_MTU:
        text, remediation = f"sg is off with MTU {mtu} under kernel {release}", f"{until_then}: {set_mtu}"
    else:
        return None
    evidence = known_facts({"sg": _state(state), "mtu": mtu, "kernel": release})
    return Verdict("nic_offload", name, Level.WARNING, f"{text}. {known_issues.XEN_CONFLICT}", evidence, remediation)
