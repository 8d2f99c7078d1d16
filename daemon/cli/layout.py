"""Layout of tables and paragraphs for a terminal or a file: lines break between words; a word is broken only where no line could hold it.

Widths are in cells of a terminal (a CJK character has two).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text

from collectors.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FILE_COLUMNS = 80  # of output that is no terminal's, without COLUMNS
PARAGRAPH_COLUMNS = 100  # longer lines are hard to read
MAX_LABEL = 20  # a longer label stands on a line of its own
GAP = "  "
_BREAKS = ("/:,;=@|&?)]}", "-_.")  # a word that no line can hold is broken after the last of these, of the first group that has one


class Cell(NamedTuple):
    """Text of a cell and its style."""

    text: str
    style: str = ""


def console() -> Console:
    """Return the console of standard output. In a file it has FILE_COLUMNS, however wide the terminal is that the command was typed in."""
    made = Console(highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = FILE_COLUMNS
    return made


def write(out: Console, lines: Iterator[Text] | Sequence[Text]) -> None:
    """Print lines that are laid out."""
    for line in lines:
        line.rstrip()
        out.print(line, soft_wrap=True)


def wrap(text: str, width: int) -> list[str]:
    """Break a text into lines of at most `width` cells, between words; at least one line."""
    lines, line = [], ""
    for word in text.split():
        for part in _parts(word, max(width, 1)):
            joined = f"{line} {part}" if line else part
            if line and cell_len(joined) > width:
                lines.append(line)
                line = part
            else:
                line = joined
    return [*lines, line]


def _parts(word: str, width: int) -> Iterator[str]:
    """Yield a word whole if it fits, else in parts that end at a separator of the last three quarters of the line, if there is one."""
    while cell_len(word) > width:
        head = chop_cells(word, width)[0] or word[0]
        ends = (max(head.rfind(separator) for separator in group) + 1 for group in _BREAKS)
        end = next((end for end in ends if end > len(head) // 4), len(head))
        yield word[:end]
        word = word[end:]
    yield word


def longest_word(text: str) -> int:
    """Return the cells of the longest word."""
    return max(map(cell_len, text.split()), default=0)


def paragraph(text: str, width: int, first: Text, style: str = "") -> Iterator[Text]:
    """Yield a text as lines of which the first begins with `first`, the others with as many blanks."""
    blanks = cell_len(first.plain)
    for number, line in enumerate(wrap(printable(text), min(width, PARAGRAPH_COLUMNS) - blanks)):
        yield Text.assemble(" " * blanks if number else first, (line, style))


def fields(pairs: Sequence[tuple[str, str]], width: int, indent: int, style: str = "") -> Iterator[Text]:
    """Yield labels and texts in two columns. A text of which a word fits only without the label stands below it."""
    width = min(width, PARAGRAPH_COLUMNS)
    beside = min(max((cell_len(printable(label)) for label, _ in pairs), default=0), MAX_LABEL)
    for label, text in pairs:
        name = printable(label)
        start = indent + beside + len(GAP)
        if cell_len(name) > beside or longest_word(printable(text)) > width - start:
            yield Text.assemble(" " * indent, (name, "dim"))
            yield from paragraph(text, width, Text(" " * (indent + 2)), style)
        else:
            yield from paragraph(text, width, Text.assemble(" " * indent, (f"{name:<{beside}}", "dim"), GAP), style)


def table(headings: Sequence[str], rows: Sequence[Sequence[tuple[str, str]]], width: int) -> Iterator[Text]:
    """Yield a table; a heading that begins with `>` is of a column of numbers, aligned right.

    Where the columns do not fit, those that are empty are left out; where they cannot fit without breaking a word, each row is a list of
    its fields.
    """
    right = [heading.startswith(">") for heading in headings]
    names = [printable(heading.removeprefix(">")) for heading in headings]
    cells = [[Cell(printable(text), style) for text, style in row] for row in rows]
    shown = list(range(len(names)))
    if _total([max(map(_natural, [names[column], *(row[column].text for row in cells)])) for column in shown]) > width:
        shown = [column for column in shown if any(row[column].text for row in cells)] or shown
    widths = _widths(names, cells, shown, width)
    if widths is None:
        yield from _records(names, cells, width)
        return
    yield from _lines([Cell(names[column], "dim") for column in shown], widths, [right[column] for column in shown])
    yield Text("─" * _total(widths), "dim")
    for row in cells:
        yield from _lines([row[column] for column in shown], widths, [right[column] for column in shown])


def _widths(names: Sequence[str], cells: Sequence[Sequence[Cell]], shown: Sequence[int], width: int) -> list[int] | None:
    """Return a width for each column: what its lines need, or where that is too much, at least its longest word; None if impossible."""
    columns = [[names[column], *(row[column].text for row in cells)] for column in shown]
    need = [max(map(_natural, column)) for column in columns]
    least = [max(map(longest_word, column)) for column in columns]
    spare = width - len(GAP) * (len(shown) - 1) - sum(least)
    if spare < 0:
        return None
    wanted = [one - other for one, other in zip(need, least, strict=True)]
    widths = list(least)
    while spare and any(wanted):  # the narrowest wish first: one long text must not wrap all others
        hungry = [column for column, more in enumerate(wanted) if more]
        share = max(spare // len(hungry), 1)
        for column in sorted(hungry, key=lambda column: wanted[column]):
            given = min(share, wanted[column], spare)
            widths[column] += given
            wanted[column] -= given
            spare -= given
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _natural(text: str) -> int:
    return cell_len(" ".join(text.split()))


def _lines(row: Sequence[Cell], widths: Sequence[int], right: Sequence[bool]) -> Iterator[Text]:
    """Yield one row, of as many lines as its highest cell."""
    wrapped = [wrap(cell.text, width) for cell, width in zip(row, widths, strict=True)]
    for number in range(max(map(len, wrapped))):
        line = Text()
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            part = wrapped[column][number] if number < len(wrapped[column]) else ""
            blanks = " " * (width - cell_len(part))
            line.append(GAP if column else "")
            line.append_text(Text.assemble(blanks if right[column] else "", (part, cell.style), "" if right[column] else blanks))
        yield line


def _records(names: Sequence[str], cells: Sequence[Sequence[Cell]], width: int) -> Iterator[Text]:
    """Yield each row as its first cell that is not empty, and the others below it."""
    for row in cells:
        filled = [(name, cell) for name, cell in zip(names, row, strict=True) if cell.text]
        for _, cell in filled[:1]:
            yield from paragraph(cell.text, width, Text(), cell.style or "bold")
        yield from fields([(name, cell.text) for name, cell in filled[1:]], width, 2)
