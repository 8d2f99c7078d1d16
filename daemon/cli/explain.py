"""`vitald explain`: which signature a line is, what it means, what to do."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from collectors.logs.matching.matcher import believed
from collectors.logs.scan import journal_export as exports
from collectors.text import printable
from daemon.cli import signatures

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from collectors.logs.matching.matcher import Hit, Matcher
    from collectors.logs.matching.packs import Signature

_WIDTH = 100


def run(arguments: argparse.Namespace) -> int:
    """Explain each line. Gives the exit status."""
    _, matcher = signatures.load(arguments)
    lines = [line for given in arguments.lines for line in ([given.encode("utf-8", "surrogateescape")] if given != "-" else _stdin())]
    found = [(line, find(matcher, line)) for line in lines if line.strip()]
    if arguments.format == "json":
        documents = [{"line": _shown(line), "signatures": [as_json(hit) for hit in hits]} for line, hits in found]
        sys.stdout.write(json.dumps(documents, indent=2) + "\n")
    else:
        sys.stdout.write("\n\n".join("\n".join(_words(line, hits, matcher)) for line, hits in found) + "\n")
    return 0 if found and all(hits for _, hits in found) else 1


def find(matcher: Matcher, line: bytes) -> list[Hit]:
    """Match one line of a log or of a journal export."""
    block = line.replace(b"\n", b" ") + b"\n"
    if exports.recognise(block):
        return [hit for hit, _ in exports.hits(matcher, block)]
    return matcher.hits(block, believed)


def as_json(hit: Hit) -> dict[str, Any]:
    """Give what is known of a hit as plain values."""
    signature = hit.signature
    return {
        "id": signature.id,
        "family": signature.family,
        "severity": signature.severity,
        "meaning": signature.meaning,
        "remediation": signature.remediation,
        "fields": dict(hit.fields),
        "cleared_by": list(signature.cleared_by),
        "pack": signature.origin,
    }


def _words(line: bytes, hits: list[Hit], matcher: Matcher) -> Iterator[str]:
    yield _cut(_shown(line))
    for hit in hits:
        signature = hit.signature
        yield from _entry("signature", f"{signature.id} ({signature.severity}, {signature.family})")
        yield from _entry("meaning", signature.meaning or "its pack does not say")
        yield from _entry("do", signature.remediation)
        yield from _entry("fields", ", ".join(f"{name} {printable(value)}" for name, value in hit.fields.items()))
        yield from _entry("alone", _often(signature))
        yield from _entry("ends with", ", ".join(signature.cleared_by))
        yield from _entry("pack", signature.origin)
    if not hits:
        yield from _entry("signature", "none matches")
        near = matcher.match_line(line, lambda _signature, _header: True)
        for hit in near[:3]:
            yield from _entry("but", f"it would be {hit.signature.id} if it came from {_speakers(hit.signature)}")


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
    return text if len(text) <= 1000 else f"{text[:1000]}…"  # noqa: PLR2004 — as much as anybody reads


def _stdin() -> Iterator[bytes]:
    return (line.rstrip(b"\n") for line in sys.stdin.buffer)
