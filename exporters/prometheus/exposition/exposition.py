"""A scrape's body. prometheus_client renders; what a report said last time is kept, since reports never change."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from collectors.cardinality import Dropped
from exporters.prometheus.exposition.families import export

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from collectors.model import Family, Report
    from exporters.prometheus.exposition.negotiation import Format

_HEADER_LINES = 2  # HELP and TYPE
_END = b"# EOF\n"


class _Chunk(NamedTuple):
    """One family of one report, rendered."""

    name: str
    source: Family
    report: Report
    header: bytes
    lines: bytes
    keys: set[tuple[str, ...]]


class _Rendered(NamedTuple):
    report: Report  # held, so that its id cannot become another's
    content_type: str
    chunks: list[_Chunk]


class Collects(Protocol):
    """What prometheus_client's encoders want."""

    def collect(self) -> Iterable[Metric]:
        """Give families."""


class _Registry:
    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric


class Exposition:
    """Renders reports; used by one thread. Series that cannot be exported are counted in `dropped`."""

    def __init__(self, dropped: Dropped) -> None:
        self._dropped = dropped
        self._rendered: dict[int, _Rendered] = {}

    def render(self, reports: Sequence[Report], form: Format, also: Iterable[Collects] = ()) -> bytes:
        """Give the whole body, and after it what `also` collects. Only reports that are new since the last call cost more than a copy."""
        rendered = {id(report): self._render(report, form) for report in reports}
        self._rendered = rendered
        families: dict[str, list[_Chunk]] = {}
        for one in rendered.values():
            for chunk in one.chunks:
                families.setdefault(chunk.name, []).append(chunk)
        parts = [part for chunks in families.values() for part in self._joined(chunks, form)]
        parts += [form.encode(one).removesuffix(_END) for one in also]
        body = b"".join(parts)
        return body + _END if form.content_type.startswith("application/openmetrics-text") else body

    def _render(self, report: Report, form: Format) -> _Rendered:
        known = self._rendered.get(id(report))
        if known is not None and known.content_type == form.content_type:
            return known
        chunks = []
        for name, exported in export(report, self._dropped).items():
            if exported.keys:
                header, lines = _split(form.encode(_Registry(exported.metric)))
                chunks.append(_Chunk(name, exported.source, report, header, lines, exported.keys))
        return _Rendered(report, form.content_type, chunks)

    def _joined(self, chunks: list[_Chunk], form: Format) -> Iterator[bytes]:
        """Join one family's chunks under one header. A series that an earlier report has too is left out."""
        first, *others = chunks
        yield first.header
        yield first.lines
        if not others:
            return
        seen = set(first.keys)
        for chunk in others:
            twice = seen & chunk.keys if chunk.header == first.header else chunk.keys
            seen |= chunk.keys - twice
            yield chunk.lines if not twice else self._without(twice, chunk, form)

    def _without(self, twice: set[tuple[str, ...]], chunk: _Chunk, form: Format) -> bytes:
        self._dropped.add(chunk.source, len(twice))
        metric = export(chunk.report, Dropped())[chunk.name].metric  # what this one drops was counted the first time
        names = chunk.source.labels
        metric.samples = [sample for sample in metric.samples if tuple(sample.labels[name] for name in names) not in twice]
        return _split(form.encode(_Registry(metric)))[1]


def _split(text: bytes) -> tuple[bytes, bytes]:
    """Part a rendered family into its HELP and TYPE lines and its series."""
    parts = text.removesuffix(_END).split(b"\n", _HEADER_LINES)
    return b"\n".join(parts[:_HEADER_LINES]) + b"\n", parts[_HEADER_LINES]
