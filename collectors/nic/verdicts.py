"""What an interface's state means: driver, offloads, MTU, link. Pure."""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict
from collectors.nic import rules
from collectors.nic.version import Shape, older, shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.nic.ethtool import Driver
    from collectors.nic.features import Feature
    from collectors.nic.reading import Nic, Reading, Sample

CHANGE_SECONDS = 3600.0  # how long another driver under the same name, or a smaller MTU, is told as news
FLAP_SECONDS = 300.0


@lru_cache(maxsize=256)
def stamp(at: float | None) -> str:
    """Write Unix time as people and logs read it."""
    if at is None or not 0 <= at < 4e9:  # noqa: PLR2004 — beyond 2096 the clock is wrong, and time.gmtime may refuse
        return "unknown"
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def driver_verdict(nic: Nic, release: str, wall: float) -> Verdict:
    """Judge the driver in use: the right one, new enough, not known to be bad."""
    driver, name = nic.driver, nic.driver_name
    change = nic.changes.get("driver")
    evidence: dict[str, Any] = {"driver": name, "since": stamp(change.since if change else None)}
    if driver is not None:
        evidence |= {"version": driver.version, "shape": shape(driver.version, release).value, "bus": driver.bus, "queues": nic.link.queues}

    def say(level: Level, message: str, mend: str = "", **more: Any) -> Verdict:  # noqa: ANN401
        return Verdict("nic_driver", nic.link.name, level, message, evidence | more, mend)

    required = nic.wanted.driver
    if required is not None and rules.MODULES.get(name, name) != rules.MODULES.get(required, required):
        return say(
            Level.CRITICAL,
            f"driver is {name or 'unknown'}, should be {required}, since {evidence['since']}",
            _switch(required),
            required=required,
        )
    if change is not None and change.before in rules.ENHANCED and name in rules.XEN:
        text = f"fell back from {change.before} to {name}, without enhanced networking, since {evidence['since']}"
        return say(Level.CRITICAL, text, _switch(str(change.before)), before=change.before)
    if driver is not None:
        level, message, mend, advice = _version(nic, driver, release)
        if advice:
            evidence["advice"] = advice
        if level:
            return say(level, message, mend)
    if change is not None and change.before not in {None, "", name} and 0 <= wall - change.since < CHANGE_SECONDS:
        return say(
            Level.WARNING, f"driver was {change.before}, is {name or 'unknown'}, since {evidence['since']}", "", before=change.before
        )
    return say(Level.HEALTHY, "")


def _switch(driver: str) -> str:
    module = rules.MODULES.get(driver, driver)
    return f"modprobe {module} && dmesg | grep {module}; after a kernel upgrade: install its headers, then dkms autoinstall"


def _version(nic: Nic, driver: Driver, release: str) -> tuple[Level, str, str, list[str]]:
    """Judge the version: level, message, mend, and advice that is no finding."""
    kind = shape(driver.version, release)
    proven = [proof for proof in rules.PROOFS if proof.driver == driver.name and proof.counter in nic.counters.names]
    own = kind in {Shape.GITHUB, Shape.OWN, Shape.UPSTREAM}

    def below(floor: str) -> bool:
        return own and older(driver.version, floor) and not any(not older(proof.version, floor) for proof in proven)

    floor = nic.wanted.min_version
    if floor is not None and below(floor):
        return Level.CRITICAL, f"{driver.name} {driver.version} is older than {floor}, which nic.policy asks for", _update(driver.name), []
    if floor is not None and not own and not any(not older(proof.version, floor) for proof in proven):
        text = (
            f"{driver.name} is the kernel's own build and has no version: nic.policy asks for {floor} or newer, and nothing here proves it"
        )
        return Level.WARNING, text, _update(driver.name), []
    for bad in rules.BAD:
        if own and bad.driver == driver.name and not older(driver.version, bad.first) and not older(bad.last, driver.version):
            return (
                Level.WARNING,
                f"{driver.name} {driver.version} is known to be bad: {bad.reason} ({bad.source})",
                _update(driver.name),
                [],
            )
    low = [rule for rule in rules.FLOORS if rule.driver == driver.name and below(rule.version)]
    advice = [f"{rule.version}: {rule.reason} ({rule.source})" for rule in low if not rule.level]
    for rule in sorted(low, key=lambda rule: -rule.level)[:1]:
        if rule.level:
            return (
                rule.level,
                f"{driver.name} {driver.version} is older than {rule.version}: {rule.reason} ({rule.source})",
                rule.mend,
                advice,
            )
    return Level.HEALTHY, "", "", advice


def _update(driver: str) -> str:
    return next((rule.mend for rule in rules.FLOORS if rule.driver == driver), f"update the driver {driver}")


def offload_verdict(nic: Nic, release: str) -> Verdict:
    """Judge the offloads: what policy asks for, and what is known to hurt under this driver."""
    if nic.driver_name in rules.XEN:
        rocket = _xen(nic, release)
        if rocket is not None:
            return rocket
    wrong = list(_drift(nic))
    if not wrong:
        return Verdict("nic_offload", nic.link.name, Level.HEALTHY, "", _offloads(nic))
    switches = " ".join(f"{name} {'on' if on else 'off'}" for name, on, changeable, _ in wrong if changeable)
    mend = f"ethtool -K {nic.link.name} {switches}" if switches else "this driver cannot switch it: change nic.policy"
    return Verdict("nic_offload", nic.link.name, Level.WARNING, "; ".join(text for *_, text in wrong), _offloads(nic), mend)


def _drift(nic: Nic) -> Iterator[tuple[str, bool, bool, str]]:
    """Give each offload that is not as it should be: name, should be on, changeable, sentence. `off [fixed]` is never drift."""
    asked = {rule.feature: (rule.on, f"{rule.reason} ({rule.source})") for rule in rules.WISHES if rule.driver == nic.driver_name}
    asked |= {name: (on, "nic.policy") for name, on in nic.wanted.offloads.items()}
    for name, (on, reason) in asked.items():
        state = nic.features.get(name)
        if state is None or state.active == on or (state.fixed and on):
            continue
        change = nic.changes.get(name)
        since = stamp(change.since if change else None)
        yield name, on, not state.fixed, f"{name} is {_spoken(state)}, should be {'on' if on else 'off'}, since {since}: {reason}"


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
    evidence: dict[str, Any] = {"sg": _spoken(state), "mtu": nic.link.mtu, "kernel": release, "facts": rules.XEN_ROCKET}
    if linearises and not state.active and not state.fixed:
        text = (
            f"sg is {_spoken(state)}: this kernel needs no rocket workaround (it linearises such packets), pays throughput for it "
            f"and lowers the MTU to 1500 (now {nic.link.mtu}). {rules.XEN_ROCKET}"
        )
        return Verdict(
            "nic_offload", name, Level.WARNING, text, evidence, f"ethtool -K {name} sg on && ip link set {name} mtu {rules.JUMBO}"
        )
    if linearises or kernel_number(release) == (0, 0):
        return None
    mend = "update the kernel (3.17 or newer), or move to enhanced networking (ENA)"
    if state.active:
        return Verdict(
            "nic_offload",
            name,
            Level.WARNING,
            f"sg is on under kernel {release}. {rules.XEN_ROCKET}",
            evidence,
            f"{mend}; until then: ethtool -K {name} sg off with MTU {rules.JUMBO}",
        )
    if nic.link.mtu < rules.JUMBO:
        return Verdict(
            "nic_offload",
            name,
            Level.WARNING,
            f"sg is off with MTU {nic.link.mtu} under kernel {release}. {rules.XEN_ROCKET}",
            evidence,
            f"{mend}; until then: ip link set {name} mtu {rules.JUMBO}",
        )
    return None


def mtu_verdict(nic: Nic, wall: float) -> Verdict:
    """Judge the MTU: as policy asks, and not silently smaller than it was."""
    name, mtu, change = nic.link.name, nic.link.mtu, nic.changes.get("mtu")
    since = stamp(change.since if change else None)
    evidence = {"mtu": mtu, "since": since}
    if nic.wanted.mtu is not None and mtu != nic.wanted.mtu:
        text = f"MTU is {mtu}, should be {nic.wanted.mtu}, since {since}"
        return Verdict("nic_mtu", name, Level.WARNING, text, evidence, f"ip link set {name} mtu {nic.wanted.mtu}")
    before = change.before if change else None
    if (
        nic.wanted.mtu is None
        and change is not None
        and isinstance(before, int)
        and before > mtu
        and 0 <= wall - change.since < CHANGE_SECONDS
    ):
        text = f"MTU fell from {before} to {mtu} at {since}"
        return Verdict(
            "nic_mtu", name, Level.WARNING, text, evidence | {"before": before}, f"ip link set {name} mtu {before}, if nobody meant it"
        )
    return Verdict("nic_mtu", name, Level.HEALTHY, "", evidence)


def link_verdicts(reading: Reading) -> Iterator[Verdict]:
    """Judge the links: carrier, flaps, and interfaces that vanished."""
    for nic in reading.nics:
        yield _link(nic, reading.samples)
    for name, at in reading.gone.items():
        text = f"the interface vanished at {stamp(at)}"
        yield Verdict(
            "nic_link", name, Level.WARNING, text, {"at": stamp(at)}, "if nobody detached it: dmesg | tail, and the instance's console log"
        )


def _link(nic: Nic, samples: tuple[Sample, ...]) -> Verdict:
    link = nic.link
    evidence = {"up": link.up, "carrier": link.carrier, "carrier_changes": link.carrier_changes}
    if link.up and link.carrier is False:
        change = nic.changes.get("carrier")
        text = f"no carrier, since {stamp(change.since if change else None)}"
        return Verdict(
            "nic_link",
            link.name,
            Level.CRITICAL,
            text,
            evidence,
            "dmesg | tail; on EC2: detach and attach the interface, or reboot the instance",
        )
    flaps = _flaps(link.name, link.carrier_changes, samples)
    if flaps > 1:  # one change is somebody switching it on
        text = f"the carrier changed {flaps} times within {FLAP_SECONDS / 60:.0f} minutes"
        return Verdict("nic_link", link.name, Level.WARNING, text, evidence | {"flaps": flaps}, "dmesg | tail; look for driver resets")
    return Verdict("nic_link", link.name, Level.HEALTHY, "", evidence)


def _flaps(name: str, now: int, samples: tuple[Sample, ...]) -> int:
    """Count carrier changes of the last minutes; a counter that fell belongs to a new interface."""
    oldest = next(
        (
            seen
            for sample in samples
            if samples[-1].at - sample.at <= FLAP_SECONDS and (seen := sample.carrier_changes.get(name)) is not None
        ),
        now,
    )
    return max(0, now - oldest)
