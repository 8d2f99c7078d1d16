"""`vitald explain`: which signature a line is, what it means, what to do."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from collectors.logs.matching.matcher import allow_claimed_origin
from collectors.logs.scan import journal_export as exports
from collectors.text import printable
from daemon.cli import signatures

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from collectors.logs.matching.matcher import Match, Matcher
    from collectors.logs.matching.packs import Signature

_WIDTH = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.epilog = "exit status: 0 every line matched, 1 one did not, 2 bad usage"
    parser.add_argument("lines", nargs="+", metavar="LINE", help="log line, quoted; - reads lines from stdin")
    parser.add_argument("--format", choices=["table", "json"], default="table", help="(default: %(default)s)")
    signatures.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Explain each line. Gives the exit status."""
    _, matcher = signatures.load(arguments)
    lines = [line for given in arguments.lines for line in ([given.encode("utf-8", "surrogateescape")] if given != "-" else _stdin())]
    found = [(line, find(matcher, line)) for line in lines if line.strip()]
    if arguments.format == "json":
        documents = [{"line": _shown(line), "signatures": [as_json(match) for match in matches]} for line, matches in found]
        sys.stdout.write(json.dumps(documents, indent=2) + "\n")
    else:
        sys.stdout.write("\n\n".join("\n".join(_words(line, matches, matcher)) for line, matches in found) + "\n")
    return 0 if found and all(matches for _, matches in found) else 1


def find(matcher: Matcher, line: bytes) -> list[Match]:
    """Match one line of a log or of a journal export."""
    block = line.replace(b"\n", b" ") + b"\n"
    if exports.recognise(block):
        return [match for match, _ in exports.match_entries(matcher, block)]
    return matcher.match_block(block, allow_claimed_origin)


def as_json(match: Match) -> dict[str, Any]:
    """Give what is known of a match as plain values."""
    signature = match.signature
    return {
        "id": signature.id,
        "family": signature.family,
        "severity": signature.severity,
        "meaning": signature.meaning,
        "remediation": signature.remediation,
        "fields": dict(match.fields),
        "cleared_by": list(signature.cleared_by),
        "pack": signature.origin,
    }


def _words(line: bytes, matches: list[Match], matcher: Matcher) -> Iterator[str]:
    yield _cut(_shown(line))
    for match in matches:
        signature = match.signature
        yield from _entry("signature", f"{signature.id} ({signature.severity}, {signature.family})")
        yield from _entry("meaning", signature.meaning or "its pack does not say")
        yield from _entry("do", signature.remediation)
        yield from _entry("fields", ", ".join(f"{name} {printable(value)}" for name, value in match.fields.items()))
        yield from _entry("alone", _often(signature))
        yield from _entry("ends with", ", ".join(signature.cleared_by))
        yield from _entry("pack", signature.origin)
    if not matches:
        yield from _entry("signature", "none matches")
        near = matcher.match_line(line, lambda _signature, _header: True)
        for match in near[:3]:
            yield from _entry("but", f"it would be {match.signature.id} if it came from {_speakers(match.signature)}")


def _often(signature: Signature) -> str:
    rule = signature.escalate
    return f"no fault; {rule.count} within {rule.within:g} s are {rule.severity}" if rule else ""


def _speakers(signature: Signature) -> str:
    source = signature.source
    return "the kernel" if source.kernel else " or ".join(source.tags or source.comms or source.units)


def _entry(label: str, words: str) -> Iterable[str]:
    return textwrap.wrap(words, _WIDTH, initial_indent=f"  {label:<10} ", subsequent_indent=" " * 13) if words else ()


def _shown(line: bytes) -> str:
    return printable(line.decode("utf-8", "backslashreplace"))


def _cut(text: str) -> str:
    return text if len(text) <= 1000 else f"{text[:1000]}…"  # noqa: PLR2004 — as much as a screen holds


def _stdin() -> Iterator[bytes]:
    return (line.rstrip(b"\n") for line in sys.stdin.buffer)
