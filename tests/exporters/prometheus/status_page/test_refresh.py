"""Status page in a real browser that renews it from a real server: what the reader has opened stays open."""

from __future__ import annotations

import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from collectors.model import Level, Verdict
from collectors.panel import Panel
from exporters.prometheus.status_page.page import CollectorStatus, Finding, Status
from tests.kit.browser import Browser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exporters.prometheus.exporter import Exporter

pytestmark = pytest.mark.needs("chromium")
NOW = "document.dispatchEvent(new Event('visibilitychange')), true"  # what a browser sends when its window is looked at again
OPEN = "[...document.querySelectorAll('article')].filter(a => a.querySelector('details').open).map(a => a.querySelector('b').textContent)"


class Host:
    """What the page shows; a test changes it between two refreshes."""

    def __init__(self) -> None:
        self.findings = {"b:22": (Level.WARNING, "slow"), "d:22": (Level.WARNING, "slow")}
        self.panels: tuple[Panel, ...] = (Panel("Targets", ("target", "last"), (("b:22", "12 ms"),)),)
        self.asked = 0

    def status(self) -> Status:
        self.asked += 1
        verdicts = [
            Verdict("tcp_probe", subject, level, message, {"asked": self.asked}, "look at it")
            for subject, (level, message) in self.findings.items()
        ]
        collectors = [CollectorStatus("probe", "ok", "", 1.0, 0.1, self.panels)]
        return Status({"hostname": "web1"}, "1", [Finding(verdict, time.time() - 60) for verdict in verdicts], collectors)


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def exporter(serve: Callable[..., Exporter], host: Host) -> Exporter:
    return serve(status=host.status)


@pytest.fixture
def browser(tmp_path: Path, exporter: Exporter) -> Iterator[Browser]:
    with Browser(tmp_path) as opened:
        opened.open(f"http://{exporter.addresses[0]}/")
        yield opened


def test_opened_evidence_stays_open_and_is_renewed_by_the_pages_own_timer(browser: Browser, host: Host) -> None:
    assert browser.ask(OPEN) == []
    browser.ask("document.querySelector('article[data-key=\"tcp_probe d:22\"] summary').click()")
    assert browser.ask(OPEN) == ["d:22"]
    before = host.asked
    browser.wait_for(f"document.querySelector('article[data-key=\"tcp_probe d:22\"] dd').textContent > {before}")
    assert host.asked > before
    assert browser.ask(OPEN) == ["d:22"]
    assert not [line for line in browser.logged if "favicon" not in line]


def test_it_stays_with_its_finding_when_others_come_and_go(browser: Browser, host: Host) -> None:
    browser.ask("document.querySelector('article[data-key=\"tcp_probe d:22\"] summary').click()")
    browser.ask("document.querySelector('article[data-key=\"tcp_probe d:22\"] summary').focus()")
    host.findings = {"a:22": (Level.WARNING, "new"), "c:22": (Level.CRITICAL, "new"), "d:22": (Level.CRITICAL, "no answer")}
    host.panels = (Panel("Logs", notes=("read",)), *host.panels)
    browser.ask(NOW)
    browser.wait_for("document.title === 'Critical: web1'")
    assert browser.ask("[...document.querySelectorAll('article h3 b')].map(b => b.textContent)") == ["c:22", "d:22", "a:22"]
    assert browser.ask(OPEN) == ["d:22"]
    assert browser.ask("document.activeElement.closest('article')?.dataset.key") == "tcp_probe d:22"
    assert browser.ask("[...document.querySelectorAll('h2')].map(h => h.firstChild.data.trim())") == [
        "Findings", "Logs", "Targets", "Collectors",
    ]  # fmt: skip
    host.findings = {}
    browser.ask(NOW)
    browser.wait_for("document.title === 'Healthy: web1'")
    assert browser.ask(OPEN) == []
    assert browser.ask("document.querySelector('main').textContent.includes('No findings.')")


def test_the_renewed_page_equals_a_freshly_loaded_one(browser: Browser, host: Host, exporter: Exporter) -> None:
    host.findings = {f"{n}:22": (Level((n % 2) + 1), "no answer") for n in range(40)}
    host.panels = (*host.panels, Panel("Memory", ("area",), (("slab",),), warnings=("log messages lost: kmsg",)))
    browser.ask(NOW)
    browser.wait_for("document.querySelectorAll('article').length === 40")
    host.findings = dict(reversed(list(host.findings.items())[3:30]))
    browser.ask(NOW)
    browser.wait_for("document.querySelectorAll('article').length === 27")
    text = "document.querySelector('main').textContent.replace(/asked\\d+|\\d\\d:\\d\\d:\\d\\d|\\d+ s/g, '')"
    renewed = browser.ask(text)
    browser.open(f"http://{exporter.addresses[0]}/?fresh")
    assert browser.ask(text) == renewed


def test_a_page_without_an_answer_says_that_it_is_not_current(browser: Browser, exporter: Exporter) -> None:
    assert browser.ask("document.getElementById('notice').hidden") is True
    exporter.close()
    browser.ask(NOW)
    browser.wait_for("document.getElementById('notice').checkVisibility()")
    assert browser.ask("document.getElementById('notice').textContent").startswith("Not current: this is the state of 20")
    assert browser.ask("document.title") == "No answer: web1"


def test_only_the_pages_own_script_and_style_run(browser: Browser) -> None:
    inject = "(() => {{ const e = document.createElement('{}'); e.textContent = {!r}; document.body.append(e); return e }})()"
    browser.ask(inject.format("script", "window.injected = true") + ", true")
    browser.ask(inject.format("style", "h1{display:none}") + ", true")
    browser.ask("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.injected = true\">'), true")
    time.sleep(0.2)  # an event handler would run now
    assert browser.ask("window.injected === undefined && document.querySelector('h1').checkVisibility()")


def test_without_scripts_nothing_closes_and_the_page_says_so(tmp_path: Path, exporter: Exporter, host: Host) -> None:
    with Browser(tmp_path, scripts=False) as browser:
        browser.open(f"http://{exporter.addresses[0]}/")
        asked = host.asked
        assert "http-equiv" not in browser.ask("document.documentElement.outerHTML")
        assert browser.ask("document.querySelector('footer noscript').checkVisibility()")
        assert not browser.ask("document.querySelector('.every').checkVisibility()")
        assert host.asked == asked


def test_the_policy_has_no_unsafe_source(exporter: Exporter) -> None:
    with urllib.request.urlopen(f"http://{exporter.addresses[0]}/") as answer:
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for name in ("script-src", "style-src"):
        assert policy[name].startswith("'sha256-")
        assert " " not in policy[name]
