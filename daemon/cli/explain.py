"""`vitald explain`: print the signatures that match log lines, with meaning and remediation."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from collectors.logs.matching.matcher import allow_any, allow_claimed_origin
from collectors.logs.scan import journal_export
from collectors.text import printable
from daemon.cli import signatures

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from collectors.logs.matching.matcher import Match, Matcher
    from collectors.logs.matching.packs import Signature

_WIDTH = 100
_MAX_CHARACTERS = 1000  # of a line; as much as a screen holds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.epilog = "exit status: 0 every line matched, 1 one did not, 2 bad usage"
    parser.add_argument("lines", nargs="+", metavar="LINE", help="log line, quoted; - reads lines from stdin")
    parser.add_argument("--format", choices=["table", "json"], default="table", help="(default: %(default)s)")
    signatures.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Explain each line and return the exit status."""
    _, matcher = signatures.load(arguments)
    given = (sys.stdin.buffer if text == "-" else [text.encode("utf-8", "surrogateescape")] for text in arguments.lines)
    lines = (line.rstrip(b"\n") for source in given for line in source)
    explained = [(line, _match(matcher, line)) for line in lines if line.strip()]
    if arguments.format == "json":
        documents = [{"line": _decoded(line), "signatures": [_as_json(match) for match in matches]} for line, matches in explained]
        sys.stdout.write(json.dumps(documents, indent=2) + "\n")
    else:
        sys.stdout.write("\n\n".join("\n".join(_lines(line, matches, matcher)) for line, matches in explained) + "\n")
    return 0 if explained and all(matches for _, matches in explained) else 1


def _match(matcher: Matcher, line: bytes) -> list[Match]:
    """Match one line of a log file or of a journal export."""
    block = line.replace(b"\n", b" ") + b"\n"
    if journal_export.is_export(block):
        return [match for match, _ in journal_export.match_entries(matcher, block)]
    return matcher.match_block(block, allow_claimed_origin)


def _as_json(match: Match) -> dict[str, Any]:
    """Return a match as JSON values."""
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


def _lines(line: bytes, matches: list[Match], matcher: Matcher) -> Iterator[str]:
    text = _decoded(line)
    yield text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}…"
    for match in matches:
        signature, rule = match.signature, match.signature.escalate
        yield from _entry("signature", f"{signature.id} ({signature.severity}, {signature.family})")
        yield from _entry("meaning", signature.meaning or "not documented in its pack")
        yield from _entry("remediation", signature.remediation)
        yield from _entry("fields", ", ".join(f"{name} {printable(value)}" for name, value in match.fields.items()))
        yield from _entry("escalation", f"{rule.severity} if there are {rule.count} within {rule.within:g} s" if rule else "")
        yield from _entry("cleared by", ", ".join(signature.cleared_by))
        yield from _entry("pack", signature.origin)
    if not matches:
        yield from _entry("signature", "no match")
        for match in _match(matcher.ignoring_nothing(), line)[:3]:
            setting = "`ignore` in [dhcp]" if match.signature.family == "dhcp" else "`ignore` in [nic]"
            why = setting if "interface" in match.fields else "loop, floppy, optical and RAM devices do not count"
            yield from _entry("note", f"would match {match.signature.id}, but {match.instance} is ignored: {why}")
        for match in matcher.match_line(line, allow_any)[:3]:
            yield from _entry("note", f"would match {match.signature.id} if sent by {_senders(match.signature)}")


def _senders(signature: Signature) -> str:
    source = signature.source
    return "the kernel" if source.kernel else " or ".join(source.tags or source.comms or source.units)


def _entry(label: str, text: str) -> Iterable[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=f"  {label:<11} ", subsequent_indent=" " * 14) if text else ()


def _decoded(line: bytes) -> str:
    return printable(line.decode("utf-8", "backslashreplace"))
