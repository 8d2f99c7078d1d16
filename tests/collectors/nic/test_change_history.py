"""Change history: bounds and times."""

from __future__ import annotations

from collectors.nic.change_history import MAX_GONE, ChangeHistory, iso_time, prune, record


def test_invalid_times_are_unknown() -> None:
    assert iso_time(None) == iso_time(-1.0) == iso_time(float("inf")) == iso_time(float("nan")) == ""


def test_present_interfaces_and_the_last_gone_ones_are_kept() -> None:
    history: ChangeHistory = {}
    for number in range(500):
        record(history, f"veth{number}", {"mtu": 1500}, 1.0)
        prune(history, {"veth0"})
        assert len(history) <= 1 + MAX_GONE
    assert {"veth0", "veth499"} <= set(history)
