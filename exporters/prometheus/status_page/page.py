"""Status page of one host at `/`: one HTML document that loads nothing but itself again.

status.js renews the document in place, so that opened evidence stays open. The policy allows this script and this style sheet by their
hashes, and no others. Without scripts the page works, too: it does not renew itself, and says so.
"""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from collectors.model import Level
from collectors.text import formatted, printable, span, utc
from exporters.prometheus.status_page.drawing import draw_bar, draw_sparkline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from collectors.model import Verdict
    from collectors.panel import Cell, Panel

MAX_ROWS = 50  # of a table: the worst come first, and a phone must load it
MAX_FINDINGS = 100
MAX_CHARACTERS = 4000  # of one text
_STYLE = resources.files(__package__).joinpath("status.css").read_text("utf-8")
_SCRIPT = resources.files(__package__).joinpath("status.js").read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", _CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),  # of browsers that do not know frame-ancestors
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, and since when (Unix time, seconds) its subject has had this level."""

    verdict: Verdict
    since: float


@dataclass(frozen=True, slots=True)
class CollectorStatus:
    """State of a collector's runs.

    `state` is `ok`, `failed`, `stuck`, `unreadable`, `pending` (the first run) or `absent` (not on this host), and `detail` its
    reason. `age` of the newest reading and `duration` of the last run are in seconds, None before the first.
    """

    name: str
    state: str
    detail: str
    age: float | None
    duration: float | None
    panels: Sequence[Panel] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """Content of the page. `host` holds facts by name, `findings` every subject, the healthy ones too."""

    host: Mapping[str, str]
    version: str
    findings: Sequence[Finding]
    collectors: Sequence[CollectorStatus]


def render(status: Status, telemetry_path: str) -> bytes:
    """Return the page: findings, then the collectors' panels, then the collectors themselves."""
    now = time.time()
    bad = sorted(
        (f for f in status.findings if f.verdict.level), key=lambda f: (-f.verdict.level.severity, f.verdict.check, f.verdict.subject)
    )
    level = bad[0].verdict.level if bad else Level.HEALTHY
    name = _text(status.host.get("hostname", "this host"))
    facts = " · ".join(
        f"<span>{_text(key.replace('_', ' '))} <b>{_text(value)}</b></span>"
        for key, value in status.host.items()
        if value and key != "hostname"
    )
    parts = [
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{_LABEL[level]}: {name}</title>',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f'<style>{_STYLE}</style></head><body><p id="notice" role="status" hidden></p>',
        f'<header class="{_CLASS[level]}"><p class="state">{_LABEL[level]}</p><h1>{name}</h1>',
        f'<p class="sum">{_summary(status.findings)}</p><p class="facts">{facts}</p></header><main>',
        *_warnings(status.collectors),
        *_findings(bad, now),
        *(_panel(panel, collector.age) for collector in status.collectors for panel in collector.panels),
        *_healthy([f for f in status.findings if not f.verdict.level]),
        *_collectors(status.collectors),
        f'</main><footer>vitald {_text(status.version)} · <a href="{escape(telemetry_path)}">metrics</a> · ',
        f'<a href="/-/healthy">healthy</a> · <a href="/-/ready">ready</a> · {utc(now)}<span class="every"> · refreshed every 15 s</span>',
        "<noscript> · not refreshed, since scripts are off: reload the page for the present state</noscript></footer>",
        f"<script>{_SCRIPT}</script></body></html>\n",
    ]
    return "\n".join(parts).encode("utf-8", "replace")


def render_counts(counts: Mapping[str, int], telemetry_path: str) -> bytes:
    """Return the page for clients that may not see findings: how many subjects there are of each level, and how to see the rest.

    `counts` by level, the worst first. Nothing of it identifies the host. It has the parts and the script of the whole page.
    """
    level = next((Level[name.upper()] for name in counts), Level.HEALTHY)
    summary = " · ".join(f"{count} {_text(name)}" for name, count in counts.items()) or "no readings yet"
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{_LABEL[level]}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<style>{_STYLE}</style></head><body><p id="notice" role="status" hidden></p>'
        f'<header class="{_CLASS[level]}"><p class="state">{_LABEL[level]}</p><h1>vitald</h1><p class="sum">{summary}</p></header>'
        '<main><section data-key="restricted"><h2>Findings in full</h2><p>This client gets only how many there are, because it is '
        "neither on this host nor authenticated. They contain log lines, process names and addresses of the host.</p><dl>"
        "<dt>on the host</dt><dd><code>sudo vitald status</code></dd>"
        "<dt>through SSH</dt><dd><code>ssh -L 19100:localhost:19100 HOST</code>, then http://localhost:19100/</dd>"
        "<dt>from anywhere</dt><dd>a password or a client certificate in the file of <code>--web.config.file</code></dd>"
        "</dl></section></main>"
        f'<footer>vitald · <a href="{escape(telemetry_path)}">metrics</a></footer><script>{_SCRIPT}</script></body></html>\n'
    ).encode("utf-8", "replace")


def _warnings(collectors: Sequence[CollectorStatus]) -> Iterator[str]:
    warnings = [warning for collector in collectors for panel in collector.panels for warning in panel.warnings]
    if warnings:
        yield '<section class="warnings" data-key="warnings"><h2>Incomplete data</h2><ul>'
        yield from (f"<li>{_text(warning)}</li>" for warning in warnings[:MAX_ROWS])
        yield f"</ul>{_more(len(warnings) - MAX_ROWS)}</section>"


def _more(count: int) -> str:
    return f"<p>and {count} more.</p>" if count > 0 else ""


def _worst_first(finding: Finding) -> tuple[int, str, str]:
    verdict = finding.verdict
    return -verdict.level.severity, verdict.check, verdict.subject


def _findings(bad: Sequence[Finding], now: float) -> Iterator[str]:
    if not bad:
        yield '<section data-key="findings"><h2>Findings</h2><p>No findings.</p></section>'
        return
    yield f'<section data-key="findings"><h2>Findings <small>{len(bad)}</small></h2>'
    for finding in bad[:MAX_FINDINGS]:
        verdict = finding.verdict
        label = _LABEL[verdict.level].lower()
        key = _text(f"{verdict.check} {verdict.subject}")
        yield f'<article class="{_CLASS[verdict.level]}" data-key="{key}"><h3><span class="badge">{label}</span> {_text(verdict.check)} '
        yield f"<b>{_text(verdict.subject)}</b></h3><p>{_text(verdict.message)}</p>"
        if verdict.remediation:
            yield f'<p class="remediation"><b>Remediation:</b> {_text(verdict.remediation)}</p>'
        yield f'<p class="since">for {span(now - finding.since)}, since {utc(finding.since)}</p>'
        if verdict.evidence:
            facts = "".join(f"<dt>{_text(k.replace('_', ' '))}</dt><dd>{_text(formatted(v))}</dd>" for k, v in verdict.evidence.items())
            yield f"<details><summary>evidence</summary><dl>{facts}</dl></details>"
        yield "</article>"
    if len(bad) > MAX_FINDINGS:
        yield f"<p>and {len(bad) - MAX_FINDINGS} more; <code>vitald check</code> lists all.</p>"
    yield "</section>"


def _panel(panel: Panel, age: float | None) -> str:
    age_text = "" if age is None else f" <small>{span(age)} ago</small>"
    title = _text(panel.title)
    parts = [f'<section data-key="panel {title}"><h2>{title}{age_text}</h2>']
    if panel.shares:
        parts.append(draw_bar(panel.shares))
    if panel.rows:
        head = "".join(f"<th>{_text(column)}</th>" for column in panel.columns)
        body = "".join(_row(panel.columns, row) for row in panel.rows[:MAX_ROWS])
        parts.append(f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')
        parts.append(_more(len(panel.rows) - MAX_ROWS))
    parts += [f"<p>{_text(note)}</p>" for note in panel.notes]
    return "".join(parts) + "</section>"


def _row(columns: Sequence[str], row: Sequence[Cell]) -> str:
    cells = zip(columns, row, strict=False)
    return "<tr>" + "".join(f'<td data-name="{_text(name)}">{_cell(cell)}</td>' for name, cell in cells) + "</tr>"


def _cell(cell: Cell) -> str:
    return _text(cell) if isinstance(cell, str) else draw_sparkline(cell)


def _healthy(healthy: Sequence[Finding]) -> Iterator[str]:
    checks: dict[str, list[str]] = {}
    for finding in healthy:
        checks.setdefault(finding.verdict.check, []).append(finding.verdict.subject)
    if checks:
        yield '<section data-key="healthy"><h2>Healthy</h2><dl class="healthy">'
        for check, subjects in sorted(checks.items()):
            more = f" and {len(subjects) - MAX_ROWS} more" if len(subjects) > MAX_ROWS else ""
            yield f"<dt>{_text(check)}</dt><dd>{_text(', '.join(sorted(subjects)[:MAX_ROWS]))}{more}</dd>"
        yield "</dl></section>"


def _collectors(collectors: Iterable[CollectorStatus]) -> Iterator[str]:
    head = "".join(f"<th>{name}</th>" for name in ("collector", "state", "last read", "duration"))
    yield f'<section data-key="collectors"><h2>Collectors</h2><div class="wide"><table><thead><tr>{head}</tr></thead><tbody>'
    for collector in collectors:
        last_read = "never" if collector.age is None else f"{span(collector.age)} ago"
        duration = "" if collector.duration is None else f"{collector.duration * 1000:.1f} ms"
        detail = f": {_text(collector.detail)}" if collector.detail else ""
        yield (
            f'<tr><td data-name="collector">{_text(collector.name)}</td>'
            f'<td data-name="state"><div><span class="{collector.state}">{collector.state}</span>{detail}</div></td>'
            f'<td data-name="last read">{last_read}</td><td data-name="duration">{duration}</td></tr>'
        )
    yield "</tbody></table></div></section>"


_LABEL = {Level.HEALTHY: "Healthy", Level.WARNING: "Warning", Level.CRITICAL: "Critical", Level.UNKNOWN: "Unknown"}
_CLASS = {Level.HEALTHY: "ok", Level.WARNING: "warning", Level.CRITICAL: "critical", Level.UNKNOWN: "unknown"}


def _summary(findings: Sequence[Finding]) -> str:
    counts = {level: sum(f.verdict.level is level for f in findings) for level in sorted(Level, key=lambda level: -level.severity)}
    return " · ".join(f"{count} {_LABEL[level].lower()}" for level, count in counts.items() if count) or "no readings yet"


def _text(text: str) -> str:
    return escape(printable(text[:MAX_CHARACTERS]))
