"""Network namespace of the tests with a real kernel's addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.nic_lab import Namespace, namespace

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def lab() -> Iterator[Namespace]:
    with namespace("vdhcp") as made:
        made.run("ip link add one type veth peer name two")
        made.run("ip link set one up")
        made.run("ip link set two up")
        yield made
