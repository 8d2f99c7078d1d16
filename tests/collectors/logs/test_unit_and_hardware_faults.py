"""Begin and end of faults of units and of hardware: which line clears which, and what repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collectors.logs.fault_lifetime import FaultLifetimes, FaultRules
from collectors.logs.matching.matcher import allow_claimed_origin
from collectors.logs.sources.event import event

if TYPE_CHECKING:
    from collections.abc import Callable

    from collectors.logs.fault_lifetime import Fault
    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.matching.packs import Packs

WARNING, CRITICAL = 1, 2
SYSTEMD = "Nov 21 10:00:00 ip-10-0-0-56 systemd[1]: "


@pytest.fixture
def feed(packs: Packs, matcher: Matcher) -> Callable[..., dict[tuple[str, str], int]]:
    """Return a function that applies lines, a second apart, and returns the level of each open fault by signature and instance."""
    lifetimes, clock = FaultLifetimes(FaultRules(packs.signatures)), iter(range(10**6))

    def apply(*lines: str) -> dict[tuple[str, str], int]:
        for line in lines:
            at = float(next(clock))
            matches = matcher.match_block(line.encode() + b"\n", allow_claimed_origin)
            assert matches, line
            for match in matches:
                lifetimes.apply(event(match, at), at)
        return {(fault.signature, fault.instance): fault.level for fault in open_faults(lifetimes)}

    return apply


def open_faults(lifetimes: FaultLifetimes) -> tuple[Fault, ...]:
    return lifetimes.faults


@pytest.mark.fault(150)
def test_a_failed_unit_is_a_warning_until_it_is_started(feed: Callable[..., dict[tuple[str, str], int]]) -> None:
    nginx, redis = ("systemd-start-failed", "nginx.service"), ("systemd-start-failed", "redis.service")
    both = feed(SYSTEMD + "Failed to start nginx.service - A web server.", SYSTEMD + "Failed to start redis.service - Redis.")
    assert both == {nginx: WARNING, redis: WARNING}
    assert feed(SYSTEMD + "Started nginx.service - A web server.") == {redis: WARNING}
    assert feed(SYSTEMD + "Started redis.service - Redis.") == {}


@pytest.mark.fault(150)
def test_a_unit_that_is_restarted_is_a_warning_only_if_it_goes_on(feed: Callable[..., dict[tuple[str, str], int]]) -> None:
    failed = SYSTEMD + "app.service: Failed with result 'exit-code'."
    restarts = [SYSTEMD + f"app.service: Scheduled restart job, restart counter is at {number}." for number in range(1, 6)]
    assert feed(failed) == {("systemd-unit-failed", "app.service"): WARNING}
    for restart in restarts[:-1]:
        assert feed(restart) == {}
        feed(failed)
    assert feed(restarts[-1]) == {("systemd-restarting", "app.service"): WARNING}
    limit = feed(SYSTEMD + "app.service: Start request repeated too quickly.")
    assert limit[("systemd-start-limit", "app.service")] == WARNING


@pytest.mark.fault(150)
def test_a_description_is_the_instance_where_no_unit_is_named(feed: Callable[..., dict[tuple[str, str], int]]) -> None:
    assert feed(SYSTEMD + "Failed to start The nginx HTTP and reverse proxy server.") == {
        ("systemd-start-failed", "The nginx HTTP and reverse proxy server"): WARNING
    }


@pytest.mark.fault(150)
def test_a_pcie_device_that_was_recovered_clears_no_other(feed: Callable[..., dict[tuple[str, str], int]]) -> None:
    fatal = "[    1.000000] pcieport 0000:00:{}.0: AER: Uncorrected (Fatal) error received: 0000:{}:00.0"
    feed(fatal.format("1c", "01"), fatal.format("1d", "02"))
    assert feed("[    2.000000] pcieport 0000:00:1c.0: AER: device recovery successful") == {("pcie-aer-fatal", "0000:00:1d.0"): CRITICAL}


@pytest.mark.fault(150)
def test_corrected_errors_count_only_if_they_are_many(feed: Callable[..., dict[tuple[str, str], int]]) -> None:
    corrected = "[    1.000000] {1}[Hardware Error]: event severity: corrected"
    assert feed(*[corrected] * 9) == {}
    assert feed(corrected) == {("ghes-corrected", ""): WARNING}
    assert feed("[    2.000000] {2}[Hardware Error]: event severity: fatal")[("ghes-uncorrected", "")] == CRITICAL


@pytest.mark.fault(150)
@pytest.mark.parametrize(
    ("status", "signature"),
    [("bd80000000070134", "mce-uncorrected"), ("e600000000020408", "mce-uncorrected"), ("9c00004000010093", "mce-corrected"),
     ("c80c2d8300800093", "mce-corrected"), ("d400004000010093", "mce-corrected"), ("f200000000000800", "mce-uncorrected")],
)  # fmt: skip
def test_the_status_register_tells_whether_a_machine_check_was_corrected(matcher: Matcher, status: str, signature: str) -> None:
    """Bit 61 of MCi_STATUS (UC), Intel SDM 17.3.2.2."""
    line = f"[    1.000000] mce: [Hardware Error]: CPU 2: Machine Check: 0 Bank 4: {status}\n".encode()
    assert [match.signature.id for match in matcher.match_block(line, allow_claimed_origin)] == [signature]


@pytest.mark.fault(150)
@pytest.mark.parametrize(("xid", "signature"), [
    (13, "nvidia-xid"), (31, "nvidia-xid"), (43, "nvidia-xid"), (63, "nvidia-xid"), (94, "nvidia-xid"), (137, "nvidia-xid"),
    (48, "nvidia-xid-fatal"), (62, "nvidia-xid-fatal"), (64, "nvidia-xid-fatal"), (74, "nvidia-xid-fatal"), (79, "nvidia-xid-fatal"),
    (95, "nvidia-xid-fatal"), (119, "nvidia-xid-fatal"), (140, "nvidia-xid-fatal"), (154, "nvidia-xid-fatal"), (45, None),
])  # fmt: skip
def test_an_xid_is_judged_by_its_number(matcher: Matcher, xid: int, signature: str | None) -> None:
    """Numbers of NVIDIA's "Xid Errors"; 45 is the cleanup after a program was ended."""
    line = f"[    1.000000] NVRM: Xid (PCI:0000:01:00): {xid}, pid=1122, name=python3, Ch 00000010\n".encode()
    assert [match.signature.id for match in matcher.match_block(line, allow_claimed_origin)] == ([signature] if signature else [])
