"""Fixtures: a real exporter on a real port, and certificates made by openssl."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from collectors.model import Family, Kind, Level, Metric, Report, Verdict
from exporters.prometheus.exporter import Exporter
from exporters.prometheus.status_page.page import Status
from exporters.prometheus.web_config import reloader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LINES = Family("log_lines", Kind.COUNTER, "Lines read.", ("source",))
REPORT = Report("logs", 1.0, (Verdict("kernel_log", "kmsg", Level.HEALTHY),), (Metric(LINES, 7, ("kmsg",)),))


def nothing() -> Status:
    """Return the status of an empty page."""
    return Status({}, "1.2.3", (), ())


@pytest.fixture
def serve() -> Iterator[Callable[..., Exporter]]:
    """Start an exporter with these settings; it is stopped at the end."""
    with ExitStack() as stack:

        def start(reports: Callable[[], Any] = lambda: [REPORT], **settings: Any) -> Exporter:
            settings = {"addresses": ["127.0.0.1:0"], "status": nothing, "ready": lambda: True, **settings}
            exporter = Exporter(reports, **settings)
            stack.callback(exporter.close)
            exporter.start()
            return exporter

        yield start


@dataclass(frozen=True)
class Pki:
    """A folder with a CA; `issue` makes `NAME.crt` and `NAME.key` there."""

    folder: Path

    def issue(self, name: str, *, san: str = "IP:127.0.0.1", days: int = 30, ca: str = "ca") -> tuple[Path, Path]:
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        self._openssl(
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            key,
            "-out",
            f"{name}.csr",
            "-subj",
            f"/CN={name}",
        )
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={san}\nauthorityKeyIdentifier=keyid\n")
        signed_by = ("-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial")
        self._openssl("x509", "-req", "-in", f"{name}.csr", *signed_by, "-days", days, "-extfile", f"{name}.ext", "-out", certificate)
        return certificate, key

    def authority(self, name: str) -> Path:
        certificate = self.folder / f"{name}.crt"
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")  # Python 3.13 verifies strictly (RFC 5280)
        self._openssl("req", "-x509", *curve, *usage, "-keyout", f"{name}.key", "-out", certificate, "-days", "30", "-subj", f"/CN={name}")
        return certificate

    def _openssl(self, *arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=self.folder)


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki"))
    made.authority("ca")
    made.authority("stranger")
    made.issue("server")
    made.issue("client", san="DNS:prometheus.internal,IP:fd00::5,URI:spiffe://fleet/prometheus,email:p@example.org")
    made.issue("intruder", ca="stranger")
    return made


@pytest.fixture
def web(pki: Pki, tmp_path: Path) -> Callable[[str], Path]:
    """Write a web config beside copies of the certificates and keys."""
    for file in pki.folder.iterdir():
        if file.suffix in (".crt", ".key"):
            (tmp_path / file.name).write_bytes(file.read_bytes())

    def write(text: str) -> Path:
        path = tmp_path / "web.yml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def check_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the files at each connection, not once a second."""
    monkeypatch.setattr(reloader, "_CHECK_SECONDS", 0.0)
