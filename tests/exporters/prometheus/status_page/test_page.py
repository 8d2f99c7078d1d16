"""Status page: its content, its escaping, and its layout in a real browser."""

from __future__ import annotations

import html.parser
import re
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from collectors.model import Level, Verdict
from collectors.panel import Panel, Share, Sparkline
from exporters.prometheus.status_page.drawing import draw_bar, draw_sparkline
from exporters.prometheus.status_page.page import MAX_FINDINGS, MAX_ROWS, CollectorStatus, Finding, Status, render
from tests.kit.browser import Browser

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from exporters.prometheus.exporter import Exporter

STATES = ("ok", "failed", "stuck", "stale", "unreadable", "pending", "absent")
EVIL = "<script>alert(1)</script>\"'&\u202e\udc80\x00\n"


class TagChecker(html.parser.HTMLParser):
    """Records tags that are closed in the wrong order, and tags that would load something; the page's own script has no attributes."""

    VOID = frozenset(("meta",))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        names = {name for name, _ in attrs}
        if (
            tag in ("link", "img", "iframe")
            or (tag == "script" and attrs)
            or "src" in names
            or any(name.startswith("on") for name in names)
        ):
            self.loads.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag, attrs

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def finding(level: Level, check: str = "tcp_probe", subject: str = "10.0.0.5:22", message: str = "no answer") -> Finding:
    return Finding(Verdict(check, subject, level, message, {"last_20": "x" * 20}, "look at it"), time.time() - 7200)


def text(status: Status) -> str:
    written = render(status, "/metrics").decode()
    seen = TagChecker()
    seen.feed(written)
    assert (seen.open, seen.wrong, seen.loads) == ([], [], [])
    return written


def test_the_worst_finding_comes_first_with_evidence_remediation_and_duration() -> None:
    written = text(Status({"hostname": "web1"}, "1", [finding(Level.WARNING, "dhcp_lease"), finding(Level.CRITICAL)], ()))
    assert written.index("<b>10.0.0.5:22</b>") < written.index("dhcp_lease")
    assert "Critical: web1" in written
    for words in ("no answer", "look at it", "for 2 h, since 20", "last 20", "1 critical · 1 warning"):
        assert words in written


def test_a_healthy_host_has_no_findings_and_lists_its_subjects() -> None:
    written = text(Status({}, "1", [finding(Level.HEALTHY)], ()))
    assert "<h2>Findings</h2><p>No findings.</p>" in written
    assert "<dd>10.0.0.5:22</dd>" in written


def test_what_the_data_lacks_comes_before_the_findings() -> None:
    panel = Panel("Logs", warnings=("log messages lost: kmsg: 7 records",))
    written = text(Status({}, "1", [finding(Level.HEALTHY)], [CollectorStatus("logs", "ok", "", 1.0, 0.1, (panel,))]))
    assert written.index("log messages lost: kmsg: 7 records") < written.index("No findings.")


def test_no_text_of_a_host_becomes_markup() -> None:
    verdict = Verdict(EVIL, EVIL, Level.CRITICAL, EVIL, {EVIL: EVIL}, EVIL)
    panel = Panel(EVIL, (EVIL,), ((EVIL,), (Sparkline((1.0, None), EVIL),)), (Share(EVIL, 1.0, EVIL, (EVIL,)),), (EVIL,))
    status = Status({EVIL: EVIL}, EVIL, [Finding(verdict, 0.0)], [CollectorStatus(EVIL, "ok", EVIL, 1.0, 1.0, (panel,))])
    written = text(status)
    assert written.count("<script") == 1
    assert "\u202e" not in written


def test_ten_thousand_findings_and_rows_make_a_page_that_a_phone_can_load() -> None:
    findings = [finding(level, subject=f"10.0.{n // 250}.{n % 250}:22") for n in range(10_000) for level in (Level.CRITICAL, Level.HEALTHY)]
    panel = Panel("Targets", ("target",), tuple((str(n),) for n in range(10_000)))
    written = text(Status({}, "1", findings, [CollectorStatus("probe", "ok", "", 1.0, 0.1, (panel,))]))
    assert len(written) < 200_000
    assert f"and {10_000 - MAX_FINDINGS} more" in written
    assert f"and {10_000 - MAX_ROWS} more." in written


def test_a_sparkline_is_as_high_as_its_values_and_a_missing_one_is_marked() -> None:
    drawn = draw_sparkline(Sparkline((1.0, 2.0, None), "RTT"))
    heights = [float(height) for height in re.findall(r"v-([0-9.]+)h", drawn)]
    assert heights == [11.0, 22.0, 22.0]
    assert drawn.count('class="x"') == 1
    assert "<title>RTT</title>" in drawn
    assert draw_sparkline(Sparkline((), "RTT")) == ""
    assert draw_sparkline(Sparkline((0.0, 0.0), "RTT")).count("v-1.0h") == 2


def test_a_bar_is_a_hundred_wide_and_leaves_out_empty_parts() -> None:
    drawn = draw_bar((Share("user", 3.0, "3 GB"), Share("slab", 1.0, "1 GB", ("tcp 1 MB",)), Share("none", 0.0, "0")))
    assert sum(float(width) for width in re.findall(r'width="([0-9.]+)"', drawn)) == pytest.approx(100)
    assert "user: 3 GB, 75.0 %" in drawn
    assert "of which tcp 1 MB" in drawn
    assert "none:" not in drawn
    assert draw_bar((Share("none", 0.0, "0"),)) == ""


def test_the_page_has_a_content_security_policy_that_loads_and_runs_nothing(serve: Callable[..., Exporter]) -> None:
    exporter = serve(status=lambda: Status({}, "1", [finding(Level.WARNING)], ()))
    with urllib.request.urlopen(f"http://{exporter.addresses[0]}/") as answer:
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert answer.headers["Cache-Control"] == "no-store"
        assert b"look at it" in answer.read()


LONG = "a-very-long-name-without-any-place-to-break-it-" * 4 + ".example.internal:65535"


def long_status() -> Status:
    panel = Panel(
        "Targets",
        ("target", "sweeps", "last"),
        ((LONG, Sparkline((1.0, None) * 60, "RTT"), "12 ms"),) * 5,
        (Share(LONG, 3.0, "3 GB", (LONG,)),),
        warnings=(LONG,),
    )
    findings = [finding(Level.CRITICAL, subject=LONG, message=LONG), finding(Level.WARNING, check="nic_link")]
    return Status({"hostname": LONG, "boot_id": LONG}, "1", findings, [CollectorStatus("p", "ok", LONG, 1, 0.1, (panel,))])


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("width", [1280, 400, 320], ids=["desk", "phone", "small phone"])
def test_a_browser_shows_it_without_scrolling_sideways(tmp_path: Path, width: int, serve: Callable[..., Exporter]) -> None:
    with Browser(tmp_path, width) as browser:
        browser.open(f"http://{serve(status=long_status).addresses[0]}/")
        browser.ask("document.querySelectorAll('details').forEach(d => { d.open = true }), true")
        assert browser.ask("innerWidth") == width
        assert browser.ask("document.documentElement.scrollWidth") <= width


CONTRASTS = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const light = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => v / 255);
    const linear = [r, g, b].map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return a ? 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] : null;
  };
  const behind = (element) => light(getComputedStyle(element).backgroundColor) ?? behind(element.parentElement);
  const found = {};
  for (const element of document.querySelectorAll('body *')) {
    if (!element.checkVisibility() || ![...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    if (element instanceof SVGElement) continue;
    const [one, two] = [light(getComputedStyle(element).color), behind(element)];
    found[element.tagName + '.' + element.className] = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
  }
  return found;
})()"""


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(tmp_path: Path, serve: Callable[..., Exporter], *, dark: bool) -> None:
    collectors = [CollectorStatus(state, state, "why", 1, 0.1) for state in STATES]
    findings = [finding(level, check=f"check_{level}") for level in Level]
    status = Status({"hostname": "web1"}, "1", findings, [*long_status().collectors, *collectors])
    with Browser(tmp_path, dark=dark) as browser:
        browser.open(f"http://{serve(status=lambda: status).addresses[0]}/")
        browser.ask("document.querySelectorAll('details').forEach(d => { d.open = true }), true")
        contrasts = browser.ask(CONTRASTS)
    assert {f"SPAN.{state}" for state in STATES} <= contrasts.keys()
    assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}
