from io import StringIO

from rich.console import Console

from collectors.panel import Panel, Share, Sparkline
from daemon.cli.check.table import MAX_ROWS, print_panel, shares_in_cells, sparkline


def printed(panel: Panel, width: int = 80) -> str:
    console = Console(file=StringIO(), width=width)
    print_panel(console, panel)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_bar_fills_its_width_and_the_smallest_part_is_visible() -> None:
    assert shares_in_cells([1000.0, 0.0, 1.0], 78) == [77, 0, 1]
    lines = printed(Panel("Memory", shares=(Share("user", 1000.0, "1 GB"), Share("slab", 1.0, "1 MB", ("tcp 1 kB",))))).splitlines()
    assert lines[0] == "Memory"
    assert lines[1] == "[" + "#" * 77 + "K]"
    assert lines[3] == "  K slab 1 MB (of which tcp 1 kB)"


def test_a_sparkline_marks_missing_values() -> None:
    assert sparkline(Sparkline((1.0, None, 8.0), "")) == "▂x█"
    assert sparkline(Sparkline((), "")) == ""
    assert sparkline(Sparkline((0.0,), "")) == "▁"


def test_a_table_is_cut_with_a_note_and_escape_codes_are_printed() -> None:
    out = printed(Panel("Targets", ("target",), tuple((f"\x1b[31m{n}",) for n in range(MAX_ROWS + 5)), notes=("a\x1bb",)))
    assert "and 5 more" in out
    assert "\x1b" not in out
