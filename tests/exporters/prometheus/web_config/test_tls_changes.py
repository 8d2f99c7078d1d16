"""Certificates and settings that change while the server runs: no reload weakens authentication."""

from __future__ import annotations

import http.client
import logging
import os
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from tests.exporters.prometheus.http_client import port, value
from tests.exporters.prometheus.web_config.tls_client import MUTUAL, TLS, ask, client_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from exporters.prometheus.exporter import Exporter

    Serve = Callable[..., Exporter]


pytestmark = pytest.mark.usefixtures("check_always")


def replace(path: Path, content: bytes) -> None:
    """Replace a file as certbot and cert-manager do: by a rename."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    os.replace(new, path)  # noqa: PTH105 — named after the system call


@pytest.mark.fault(31)
def test_a_rotated_certificate_is_served_to_the_next_client(serve: Serve, web: Any, pki: Any, tmp_path: Path) -> None:
    exporter = serve(web_config=web(TLS))
    first = ask(exporter, client_context(pki))[2]
    certificate, key = pki.issue("next")
    replace(tmp_path / "server.crt", certificate.read_bytes())
    assert ask(exporter, client_context(pki))[2] == first  # the certificate is new, its key is not there yet: the old pair serves
    replace(tmp_path / "server.key", key.read_bytes())
    status, body, now = ask(exporter, client_context(pki))
    assert status == 200
    assert now["subject"] != first["subject"]
    assert value(body, "vitald_web_config_last_reload_successful") == 1


@pytest.mark.fault(31)
def test_a_half_written_certificate_changes_nothing_and_is_logged_once(
    serve: Serve, web: Any, pki: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = serve(web_config=web(TLS))
    whole = (tmp_path / "server.crt").read_bytes()
    with caplog.at_level(logging.INFO):
        for size in (len(whole) // 2, 0):
            (tmp_path / "server.crt").write_bytes(whole[:size])
            for _ in range(3):
                status, body, _ = ask(exporter, client_context(pki))
                assert (status, value(body, "vitald_web_config_last_reload_successful")) == (200, 0)
        (tmp_path / "server.crt").write_bytes(whole)
        assert value(ask(exporter, client_context(pki))[1], "vitald_web_config_last_reload_successful") == 1
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "INFO"]


@pytest.mark.fault(31)
def test_a_certificate_that_expired_is_replaced_without_a_restart(serve: Serve, web: Any, pki: Any, tmp_path: Path) -> None:
    certificate, key = pki.issue("server-expired", days=-1)
    path = web(TLS)
    for name, source in (("server.crt", certificate), ("server.key", key)):
        (tmp_path / name).write_bytes(source.read_bytes())
    exporter = serve(web_config=path)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        ask(exporter, client_context(pki))
    for name in ("server.crt", "server.key"):
        replace(tmp_path / name, (pki.folder / name).read_bytes())
    assert ask(exporter, client_context(pki))[0] == 200


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    "edit",
    [
        "",
        "# all commented out\n",
        TLS,
        MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"),
        "tls_server_config: [",
        MUTUAL.replace("  client_ca_file: ca.crt\n", ""),
        MUTUAL.replace("ca.crt", "none.crt"),
    ],
)
def test_no_reload_weakens_authentication(serve: Serve, web: Any, pki: Any, edit: str) -> None:
    exporter = serve(web_config=web(MUTUAL))
    ask(exporter, client_context(pki, "client"))
    web(edit)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        ask(exporter, client_context(pki))
    assert value(ask(exporter, client_context(pki, "client"))[1], "vitald_web_config_last_reload_successful") == 0


def test_a_file_that_goes_missing_changes_nothing(serve: Serve, web: Any, pki: Any) -> None:
    path = web(MUTUAL)
    exporter = serve(web_config=path)
    path.unlink()
    assert value(ask(exporter, client_context(pki, "client"))[1], "vitald_web_config_last_reload_successful") == 0


def test_another_client_ca_closes_the_connections_of_the_old_one(serve: Serve, web: Any, pki: Any) -> None:
    exporter = serve(web_config=web(MUTUAL))
    kept = http.client.HTTPSConnection("127.0.0.1", port(exporter), timeout=10, context=client_context(pki, "client"))
    kept.request("GET", "/metrics")
    assert kept.getresponse().read()
    web(MUTUAL.replace("ca.crt", "stranger.crt"))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError, ssl.SSLError)):  # noqa: PT012 — either may be where it shows
        kept.request("GET", "/metrics")
        kept.getresponse()
    assert ask(exporter, client_context(pki, "intruder"))[0] == 200
    kept.close()


def test_a_plain_server_becomes_a_tls_one_but_not_the_other_way(serve: Serve, web: Any, pki: Any) -> None:
    exporter = serve(web_config=web(""))
    plain = http.client.HTTPConnection("127.0.0.1", port(exporter), timeout=10)
    plain.request("GET", "/metrics")
    assert plain.getresponse().read()
    web(TLS)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):  # noqa: PT012
        plain.request("GET", "/metrics")
        plain.getresponse()
    assert ask(exporter, client_context(pki))[0] == 200
    web("")
    assert ask(exporter, client_context(pki))[0] == 200
    plain.close()
