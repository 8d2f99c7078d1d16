"""Pictures of README.md and docs: what the program prints now."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest

from tools import make_pictures

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    make_pictures.main(folder)
    return folder


def test_the_committed_pictures_are_those_that_the_program_draws(drawn: Path) -> None:
    names = sorted(path.name for path in drawn.iterdir())
    assert names == sorted(path.name for path in make_pictures.DOCS.glob("*.svg"))
    changed = [name for name in names if (drawn / name).read_bytes() != (make_pictures.DOCS / name).read_bytes()]
    assert not changed, "run: make pictures"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("check.svg", ("CRITICAL", "dhcp_log", "remediation:", "evidence:", "No DHCPOFFERS received.", "Network interfaces")),
        ("nic.svg", ("CRITICAL", "nic_driver_next_boot", "boots next", "missing")),
        ("probe.svg", ("answered", "SYNs lost", "RTT ms: min")),
    ],
)
def test_a_picture_shows_what_its_text_says_and_no_error(drawn: Path, name: str, shown: tuple[str, ...]) -> None:
    text = html.unescape(re.sub(r"<[^>]+>", " ", (drawn / name).read_text())).replace("\xa0", " ")
    for words in shown:
        assert words in text
    for trouble in ("Traceback", "vitald: ", "/tmp/"):
        assert trouble not in text
