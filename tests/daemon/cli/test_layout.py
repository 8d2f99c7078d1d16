"""Layout of tables and paragraphs: whole words, whole texts, within the width."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from daemon.cli import layout

if TYPE_CHECKING:
    from collections.abc import Sequence

ADDRESS = "[fd00:1234:5678:9abc:def0:1234:5678:9abc]:5432"
PATH = "/sys/devices/pci0000:00/0000:00:05.0/net/eth0/queues/tx-0/byte_queue_limits"
WORDS = st.lists(st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=30), max_size=30)


def plain(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]], width: int) -> list[str]:
    return [line.plain.rstrip() for line in layout.table(headings, [[(text, "") for text in row] for row in rows], width)]


@given(words=WORDS, width=st.integers(1, 100))
def test_lines_fit_and_no_word_that_fits_is_broken(words: list[str], width: int) -> None:
    lines = layout.wrap(" ".join(words), width)
    assert all(cell_len(line) <= max(width, 2) for line in lines)
    assert "".join(lines).replace(" ", "") == "".join(words)
    found = " ".join(lines).split()
    assert all(word in found for word in words if cell_len(word) <= width)


def test_a_word_that_no_line_holds_is_broken_at_a_separator() -> None:
    assert layout.wrap(PATH, 40) == ["/sys/devices/pci0000:00/0000:00:05.0/", "net/eth0/queues/tx-0/byte_queue_limits"]
    assert layout.wrap("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
    assert layout.wrap("漢字" * 6, 10) == ["漢字漢字漢", "字漢字漢字", "漢字"]


def test_a_table_that_fits_is_as_wide_as_its_texts() -> None:
    assert plain(("target", ">RTT"), [("10.0.0.5:22", "0.3 ms"), ("a", "12 ms")], 80) == [
        "target          RTT",
        "───────────────────",
        "10.0.0.5:22  0.3 ms",
        "a             12 ms",
    ]


def test_a_narrow_table_wraps_between_words_and_leaves_out_empty_columns() -> None:
    rows = [("eth0", "", "sg tso gso gro rx tx rxvlan txvlan"), ("eth1", "", "")]
    assert plain(("interface", "alternative names", "offloads"), rows, 30) == [
        "interface  offloads",
        "──────────────────────────────",
        "eth0       sg tso gso gro rx",
        "           tx rxvlan txvlan",
        "eth1",
    ]


def test_where_columns_cannot_hold_a_word_each_row_is_a_list() -> None:
    rows = [(ADDRESS, "no answer", PATH, ""), ("10.0.0.5:22", "answered", "eth0", "7")]
    assert plain(("target", "last probe", "device", "lost"), rows, 80) == [
        ADDRESS,
        "  last probe  no answer",
        "  device",
        f"    {PATH}",
        "10.0.0.5:22",
        "  last probe  answered",
        "  device      eth0",
        "  lost        7",
    ]


@given(st.lists(st.tuples(*[WORDS.map(" ".join)] * 4), min_size=1, max_size=5), st.integers(40, 120))
def test_no_table_is_wider_than_the_terminal_or_breaks_a_word_that_fits(rows: list[tuple[str, ...]], width: int) -> None:
    lines = plain(("one", "two words", ">three", "four"), rows, width)
    assert max(map(cell_len, lines)) <= width
    found = set(" ".join(lines).split())
    assert all(word in found for row in rows for text in row for word in text.split() if cell_len(word) <= width - 4)


def test_escape_codes_and_line_breaks_are_printed_escaped() -> None:
    shown = "\n".join(plain(("\x1b[31m", "b"), [("a\nb", "\x1b]0;title\a")], 80))
    assert "\x1b" not in shown
    assert "a\\nb" in shown


@pytest.mark.parametrize("width", [80, 40])
def test_a_long_fact_stands_below_its_label(width: int) -> None:
    lines = [line.plain.rstrip() for line in layout.fields([("route", ADDRESS), ("a label of many many words", "x")], width, 4)]
    beside = ["    route", f"      {ADDRESS}"] if width < 60 else [f"    route                 {ADDRESS}"]
    assert lines[-2:] == ["    a label of many many words", "      x"]
    if width == 80:
        assert lines[:-2] == beside
    else:
        assert "".join(line.strip() for line in lines[1:-2]) == ADDRESS


def test_the_first_words_of_a_paragraph_are_indented_once() -> None:
    lines = [line.plain for line in layout.paragraph("one two three", 16, Text("healthy "))]
    assert lines == ["healthy one two", "        three"]
