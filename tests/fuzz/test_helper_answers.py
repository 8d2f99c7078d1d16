"""Answers of helpers and lines of exports that are no UTF-8 or nested too deeply: refused like any other that is invalid."""

from __future__ import annotations

import pytest

from tests.fuzz.execution import execute
from tests.fuzz.registry import targets

NAMES = ("boot.initramfs_answer", "network.link_details", "network.packet_client", "memory.holders", "logs.export", "logs.journal_entry")
INPUTS = {
    "a key that is no UTF-8": b'{"\x9e":1}',
    "a text that is no UTF-8": b'{"problem":"\xff","MESSAGE":"\xff","kind":"\xff"}',
    "nested too deeply": b"[" * 100_000,
    "a key that is nested too deeply": b'{"routes":' * 20_000,
    "a lone surrogate": b'{"problem":"\\ud800","MESSAGE":"\\ud800","modules":{}}',
}
TARGETS = targets()
pytestmark = pytest.mark.fault(168)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", INPUTS)
def test_an_invalid_answer_is_refused(name: str, what: str) -> None:
    for data in (INPUTS[what], INPUTS[what] + b"\n"):
        assert execute(TARGETS[name], data, seconds=30.0) is None
