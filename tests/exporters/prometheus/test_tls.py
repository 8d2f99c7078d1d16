"""TLS over real sockets with certificates made by openssl: silence, rotation, client certificates."""

from __future__ import annotations

import http.client
import logging
import os
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest

from exporters.prometheus import access

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from exporters.prometheus.exporter import Exporter

    Serve = Callable[..., Exporter]

TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
MUTUAL = TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"


@pytest.fixture(autouse=True)
def _look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the files at each connection, not once a second: tests are not that patient."""
    monkeypatch.setattr(access, "_LOOK_EVERY", 0.0)


def client_context(pki: Any, client: str = "", **versions: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=pki.folder / "ca.crt")
    if client:
        context.load_cert_chain(pki.folder / f"{client}.crt", pki.folder / f"{client}.key")
    for name, version in versions.items():
        setattr(context, name, version)
    return context


def port(exporter: Exporter) -> int:
    return int(exporter.addresses[0].rpartition(":")[2])


def ask(exporter: Exporter, context: ssl.SSLContext, path: str = "/metrics") -> tuple[int, bytes, dict[str, Any]]:
    client = http.client.HTTPSConnection("127.0.0.1", port(exporter), timeout=10, context=context)
    try:
        client.request("GET", path)
        sock: Any = client.sock
        certificate = dict(sock.getpeercert())
        response = client.getresponse()
        return response.status, response.read(), certificate
    finally:
        client.close()


def value(body: bytes, name: str) -> float:
    return next(float(line.rpartition(b" ")[2]) for line in body.splitlines() if line.startswith(name.encode()))


@pytest.mark.fault(3)
def test_silent_connections_to_the_tls_port_delay_nobody(serve: Serve, web: Any, pki: Any) -> None:
    exporter = serve(web_config=web(TLS))
    context = client_context(pki)
    silent = [socket.create_connection(("127.0.0.1", port(exporter)), timeout=10) for _ in range(20)]
    for sock in silent[::2]:
        sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00")  # the first bytes of a ClientHello, and then nothing
    took = []
    for _ in range(3):  # the best of three: the machine is shared
        started = time.monotonic()
        assert ask(exporter, context)[0] == 200
        took.append(time.monotonic() - started)
    assert min(took) < 1
    for sock in silent:
        sock.close()


def test_tls_1_1_is_not_spoken_and_1_2_only_where_it_is_allowed(serve: Serve, web: Any, pki: Any) -> None:
    exporter = serve(web_config=web(TLS + "  min_version: TLS13\n"))
    assert ask(exporter, client_context(pki))[0] == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(exporter, client_context(pki, maximum_version=ssl.TLSVersion.TLSv1_2))
    body = ask(exporter, client_context(pki))[1]
    assert value(body, "vitald_http_tls_handshake_failures_total") == 1


def test_the_configured_cipher_is_the_one_that_is_spoken(serve: Serve, web: Any, pki: Any) -> None:
    suites = "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]\n"
    exporter = serve(web_config=web(TLS + suites))
    with socket.create_connection(("127.0.0.1", port(exporter)), timeout=10) as sock:
        wrapped = client_context(pki).wrap_socket(sock, server_hostname="127.0.0.1")
        assert (wrapped.cipher() or ("",))[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"
        wrapped.close()


def test_plain_http_to_the_tls_port_is_told_so(serve: Serve, web: Any) -> None:
    exporter = serve(web_config=web(TLS))
    with socket.create_connection(("127.0.0.1", port(exporter)), timeout=10) as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"This port speaks TLS" in sock.recv(1000)


def test_a_large_scrape_over_tls_is_whole_and_connections_are_kept(serve: Serve, web: Any, pki: Any) -> None:
    report = large()
    exporter = serve(lambda: [report], web_config=web(TLS + "http_server_config:\n  headers:\n    X-Frame-Options: deny\n"))
    client = http.client.HTTPSConnection("127.0.0.1", port(exporter), timeout=10, context=client_context(pki))
    for path in ("/metrics", "/", "/metrics"):
        client.request("GET", path)
        response = client.getresponse()
        body = response.read()
        assert response.headers["X-Frame-Options"] == "deny"
    assert body.count(b"vitald_big_total{") == 20_000
    client.close()


def large() -> Any:
    from collectors.model import Family, Kind, Metric, Report  # noqa: PLC0415 — used here only

    big = Family("big", Kind.COUNTER, "Big.", ("source",))
    return Report("big", 1.0, (), tuple(Metric(big, number, (str(number),)) for number in range(20_000)))


def test_client_certificates_are_required_and_verified(serve: Serve, web: Any, pki: Any) -> None:
    exporter = serve(web_config=web(MUTUAL))
    assert ask(exporter, client_context(pki, "client"))[0] == 200
    for nobody in ("", "intruder"):
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            ask(exporter, client_context(pki, nobody))


def test_a_certificate_is_verified_if_given(serve: Serve, web: Any, pki: Any) -> None:
    exporter = serve(web_config=web(MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")))
    assert ask(exporter, client_context(pki))[0] == 200
    assert ask(exporter, client_context(pki, "client"))[0] == 200
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        ask(exporter, client_context(pki, "intruder"))


@pytest.mark.parametrize("san", ["prometheus.internal", "fd00::5", "spiffe://fleet/prometheus", "p@example.org"])
def test_an_allowed_name_lets_its_certificate_in(serve: Serve, web: Any, pki: Any, san: str) -> None:
    exporter = serve(web_config=web(MUTUAL + f"  client_allowed_sans: [nobody.internal, '{san}']\n"))
    assert ask(exporter, client_context(pki, "client"))[0] == 200
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        ask(exporter, client_context(pki, "server"))


def replace(path: Path, content: bytes) -> None:
    """Replace a file as certbot and cert-manager do: by a rename."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    os.replace(new, path)  # noqa: PTH105 — said as the system call is called


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
def test_a_half_written_certificate_changes_nothing_and_is_said_once(
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
def test_no_edit_opens_the_door(serve: Serve, web: Any, pki: Any, edit: str) -> None:
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


def test_another_client_ca_ends_the_connections_that_the_old_one_let_in(serve: Serve, web: Any, pki: Any) -> None:
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
