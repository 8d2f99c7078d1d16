from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
import pytest

from collectors.host.collector import HOST, HostInfo, HostSettings
from collectors.model import CollectorContext
from collectors.settings import decode_hook
from tests.collectors.host.imds_server import DOCUMENT, TOKEN, ImdsServer, ok, refusal
from tests.collectors.host.test_identity import BOOT_ID, NITRO, write
from tests.kit.contexts import LiveContext

if TYPE_CHECKING:
    from pathlib import Path

KERNEL = "6.1.115-126.197.amzn2023.x86_64"


def settings(text: str) -> HostSettings:
    return msgspec.toml.decode(text.encode(), type=HostSettings, dec_hook=decode_hook)


def context(root: Path, dmi: dict[str, str] | None = None) -> CollectorContext:
    write(root, {"proc/sys/kernel/hostname": "web1\n", "proc/sys/kernel/osrelease": KERNEL, "proc/sys/kernel/random/boot_id": BOOT_ID})
    write(root, {f"sys/class/dmi/id/{name}": text for name, text in (dmi or {}).items()})
    return LiveContext(proc=root / "proc", sys=root / "sys", root=root)


def labels(collector: HostInfo) -> tuple[str, ...]:
    reading = collector.read()
    assert list(collector.judge([reading], HostSettings())) == []
    (metric,) = collector.measure(reading, HostSettings())
    assert (metric.family, metric.value) == (HOST, 1.0)
    assert len(metric.labels) == len(HOST.labels)
    return metric.labels


def test_on_ec2_the_identity_is_that_of_the_metadata_service(tmp_path: Path) -> None:
    with ImdsServer(ok(TOKEN), ok(DOCUMENT), refusal("503 - Gone")) as server:
        collector = HostInfo(settings(f'imds_url = "{server.url}"'), context(tmp_path))
        expected = ("web1", KERNEL, BOOT_ID, "i-1234567890abcdef0", "t2.micro", "us-west-2b", "ami-5fb8c835")
        assert labels(collector) == expected
        assert labels(collector) == expected
        assert len(server.requests) == 2  # no request after the first answer


def test_the_hostname_is_read_each_time(tmp_path: Path) -> None:
    collector = HostInfo(HostSettings(), context(tmp_path))
    assert labels(collector)[0] == "web1"
    write(tmp_path, {"proc/sys/kernel/hostname": "web2\n"})
    assert labels(collector)[0] == "web2"


def test_elsewhere_there_is_no_request_and_the_ec2_labels_are_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = HostInfo(HostSettings(), context(tmp_path, {"sys_vendor": "QEMU\n"}))
    monkeypatch.setattr(collector._imds, "fetch", lambda: pytest.fail("asked the metadata service of another machine"))
    assert labels(collector) == ("web1", KERNEL, BOOT_ID, "", "", "", "")


def test_switched_off_there_is_no_request_and_the_board_has_the_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = HostInfo(settings('imds_url = "off"'), context(tmp_path, NITRO))
    monkeypatch.setattr(collector._imds, "fetch", lambda: pytest.fail("asked although it is off"))
    assert labels(collector)[3:] == ("i-0af01c0123456789a", "", "", "")


@pytest.mark.fault(45)
@pytest.mark.parametrize(
    "answer",
    [refusal("401 - Unauthorized"), refusal("403 - Forbidden"), refusal("404 - Not Found"), refusal("429 - Slow down"), b"nonsense"],
)
def test_an_unavailable_service_costs_its_labels_and_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: bytes) -> None:
    caplog.set_level(logging.DEBUG)
    with ImdsServer(ok(TOKEN), answer, ok(TOKEN), answer) as server:
        collector = HostInfo(settings(f'imds_url = "{server.url}"'), context(tmp_path))
        collector._interval = 0.0  # due again at once
        for _ in range(3):
            assert labels(collector) == ("web1", KERNEL, BOOT_ID, "", "", "", "")
            server._answers[:] = [ok(TOKEN), answer, ok(TOKEN), answer]
            collector._due = 0.0
        requests = len(server.requests)
    assert requests >= 6
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"its labels are left empty endpoint={server.url} error=GET /latest/dynamic/instance-identity/document: " in record.getMessage()
    assert TOKEN.decode() not in caplog.text


@pytest.mark.fault(45)
def test_an_unavailable_service_leaves_the_boards_instance(tmp_path: Path) -> None:
    with ImdsServer(refusal("403 - Forbidden")) as server:
        assert labels(HostInfo(settings(f'imds_url = "{server.url}"'), context(tmp_path, NITRO)))[3:] == ("i-0af01c0123456789a", "", "", "")


def test_an_unavailable_service_is_queried_with_exponential_backoff_until_it_answers(tmp_path: Path) -> None:
    with ImdsServer(refusal("403 - Forbidden")) as server:
        collector = HostInfo(settings(f'imds_url = "{server.url}"\ninterval = "1m"'), context(tmp_path))
        backoffs = []
        for _ in range(7):
            labels(collector)
            labels(collector)  # not due: no request
            backoffs.append(collector._backoff)
            collector._due = 0.0
        assert backoffs == [60, 120, 240, 480, 960, 960, 960]
        assert len(server.requests) == 7
        server._answers[:] = [ok(TOKEN), ok(DOCUMENT)]
        assert labels(collector)[3] == "i-1234567890abcdef0"


def test_the_default_endpoint_is_amazons() -> None:
    assert str(HostInfo(HostSettings(), CollectorContext())._imds.endpoint) == "http://169.254.169.254"


@pytest.mark.fault(30)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('imds_url = "http://imds"', "imds_url: 'http://imds' is not the URL of a metadata service"),
        ('imds_url = ""', 'or "auto" or "off"'),
        ("imds_url = 7", r"Expected `str`, got `int` - at `\$.imds_url`"),
        ('imds = "auto"', "unknown field `imds`"),
        ('interval = "1ms"', "interval: too short; expected at least 100ms"),
    ],
)
def test_invalid_settings_are_refused(text: str, reason: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=reason):
        settings(text)
