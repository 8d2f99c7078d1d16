"""Body of a scrape. prometheus_client renders; the text of a report is kept until there is a newer report, since reports never change."""

from __future__ import annotations

import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple

from collectors.cardinality import Dropped
from exporters.prometheus.exposition.families import export

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector

    from collectors.model import Family, Report
    from exporters.prometheus.exposition.negotiation import Format

_HEADER_LINES = 2  # HELP and TYPE
_END = b"# EOF\n"


class _Chunk(NamedTuple):
    """One family of one report, rendered."""

    name: str
    source: Family
    header: bytes
    lines: bytes
    keys: tuple[tuple[str, ...], ...]  # a set would take five times as much, and is needed only where reports share a family


class _RenderedReport(NamedTuple):
    """The text of a report. The report itself is not kept: once it is replaced, its metrics are freed before the next scrape."""

    report: weakref.ref[Report]
    content_type: str
    chunks: list[_Chunk]


class Exposition:
    """Renders reports; used by one thread. Series that cannot be exported are counted in `dropped`."""

    def __init__(self, dropped: Dropped) -> None:
        self._dropped = dropped
        self._rendered: dict[int, _RenderedReport] = {}

    def render(self, reports: Sequence[Report], form: Format, extra: Iterable[Collector] = ()) -> bytes:
        """Return the whole body, what `extra` collects at its end. Only reports that are new since the last call are rendered."""
        current = {id(report): report for report in reports}
        self._rendered = {
            key: known
            for key, known in self._rendered.items()
            if key in current and known.report() is current[key] and known.content_type == form.content_type
        }
        families: dict[str, list[tuple[Report, _Chunk]]] = {}
        for key, report in current.items():
            if key not in self._rendered:
                self._rendered[key] = self._render(report, form)
            for chunk in self._rendered[key].chunks:
                families.setdefault(chunk.name, []).append((report, chunk))
        parts = [part for chunks in families.values() for part in self._joined(chunks, form)]
        parts += [form.encode(collector).removesuffix(_END) for collector in extra]
        if form.content_type.startswith("application/openmetrics-text"):
            parts.append(_END)
        return b"".join(parts)

    def _render(self, report: Report, form: Format) -> _RenderedReport:
        chunks = []
        for exported in export(report, self._dropped):
            if exported.keys:
                header, lines = _encode(exported.metric, form)
                chunks.append(_Chunk(exported.metric.name, exported.source, header, lines, tuple(exported.keys)))
        return _RenderedReport(weakref.ref(report), form.content_type, chunks)

    def _joined(self, chunks: list[tuple[Report, _Chunk]], form: Format) -> Iterator[bytes]:
        """Join one family's chunks under one header. A series that an earlier report has too is left out."""
        (_, first), *others = chunks
        yield first.header
        yield first.lines
        if not others:
            return
        seen = set(first.keys)
        for report, chunk in others:
            keys = set(chunk.keys)
            duplicates = seen & keys if chunk.header == first.header else keys
            seen |= keys - duplicates
            yield chunk.lines if not duplicates else self._without(duplicates, report, chunk, form)

    def _without(self, duplicates: set[tuple[str, ...]], report: Report, chunk: _Chunk, form: Format) -> bytes:
        self._dropped.add(chunk.source, len(duplicates))
        uncounted = Dropped()  # what this report drops was counted when it was rendered
        metric = next(exported.metric for exported in export(report, uncounted) if exported.source is chunk.source)
        names = chunk.source.labels
        metric.samples = [sample for sample in metric.samples if tuple(sample.labels[name] for name in names) not in duplicates]
        return _encode(metric, form)[1]


def _encode(metric: Metric, form: Format) -> tuple[bytes, bytes]:
    """Return the HELP and TYPE lines of a family, and its series."""
    text = form.encode(SimpleNamespace(collect=lambda: (metric,)))  # a registry of one
    parts = text.removesuffix(_END).split(b"\n", _HEADER_LINES)
    return b"\n".join(parts[:_HEADER_LINES]) + b"\n", parts[_HEADER_LINES]
