"""Who gets findings in full, over real sockets: loopback, other addresses, the local socket, passwords, client certificates, browsers."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from collectors.model import Level, Verdict
from exporters.prometheus.access import Client, is_loopback, may_see_findings
from exporters.prometheus.status_page.page import CollectorStatus, Finding, Status
from tests.exporters.prometheus.http_client import port
from tests.exporters.prometheus.web_config.tls_client import MUTUAL, TLS, client_context
from tests.kit.netns import inside, ip, namespace

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporters.prometheus.exporter import Exporter

    Serve = Callable[..., Exporter]

ROOT = Path(__file__).parents[3]
SECRETS = ("secret-line", "secret-subject", "secret-check", "secret-remedy", "secret-host", "6.1.99-secret", "secret-collector", "9.8.7")
VERDICT = Verdict("secret-check", "secret-subject", Level.CRITICAL, "secret-line", {"pid": "secret-pid"}, "secret-remedy")
HEALTHY = Verdict("secret-check", "secret-disk", Level.HEALTHY)
STATUS = Status(
    {"hostname": "secret-host", "kernel": "6.1.99-secret"},
    "9.8.7",
    (Finding(VERDICT, 1.0), Finding(HEALTHY, 1.0)),
    (CollectorStatus("secret-collector", "failed", "secret-detail", 1.0, 1.0),),
)
PAGES = {"status": lambda: STATUS, "document": lambda: {"findings": ["secret-line"]}, "counts": lambda: {"critical": 1, "healthy": 1}}
USERS = "basic_auth_users:\n  alice: $2b$04$uQRqdSsQq2WNRszhZq/dS.ejudW2lFIs6A1xxA371Z5oT2LvNjKjO\n"
ANSWERS = {True: (200, 200), False: (200, 403)}  # of / and /-/status
SERVER = """
import sys, threading
from tests.exporters.prometheus.test_access import PAGES
from exporters.prometheus.exporter import Exporter
exporter = Exporter(lambda: [], addresses=sys.argv[2:], ready=lambda: True, access=sys.argv[1], **PAGES)
exporter.start()
print(*(address.rpartition(":")[2] for address in exporter.addresses), flush=True)
threading.Event().wait()
"""
CLIENT = """
import http.client, json, sys
for path in ("/", "/-/status", "/none", "/-/ready", "/-/healthy", "//", "/-/status/", "/?a", "/-/status?a"):
    client = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=10, source_address=(sys.argv[3], 0))
    client.request("GET", path, headers={"Host": "localhost"})
    answer = client.getresponse()
    print(json.dumps([path, answer.status, str(answer.headers) + answer.read().decode()]))
"""


def is_full(connection: http.client.HTTPConnection, headers: dict[str, str] | None = None) -> bool:
    """Ask for page and document: True if both are whole, False if both are without anything of the host; nothing else is allowed."""
    seen = []
    for path, marks in (("/", SECRETS), ("/-/status", ("secret-line",))):
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        body = response.read().decode()
        full = "secret-line" in body
        assert response.status == ANSWERS[full][path != "/"], path
        assert all(mark in body for mark in marks) if full else "secret" not in body + str(response.headers)
        assert full or ("1 critical" in body if path == "/" else json.loads(body)["levels"] == {"critical": 1, "healthy": 1})
        seen.append(full)
    assert len(set(seen)) == 1
    connection.close()
    return seen[0]


def local(exporter: Exporter) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port(exporter), timeout=20)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        *((address, True) for address in ("127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1")),
        *(
            (address, False)
            for address in ("10.0.0.7", "::ffff:10.0.0.7", "fe80::1%lo", "::", "0.0.0.0", "2001:db8::1", "128.0.0.1", "local", "")
        ),
    ],
)
def test_what_is_loopback(address: str, expected: bool) -> None:  # noqa: FBT001
    assert is_loopback(address) is expected


@pytest.mark.fault(165)
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        *(
            (({"Host": host}), True)
            for host in ("localhost", "LOCALHOST:19100", "127.0.0.1:8080", "[::1]:19100", "a.localhost:1", "localhost.")
        ),
        ({"Host": socket.gethostname() + ":19100"}, True),
        *(
            (({"Host": host}), False)
            for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.7:19100", "[::2]", "")
        ),
        *(
            ({name: "203.0.113.9"}, False)
            for name in ("X-Forwarded-For", "x-forwarded-proto", "Forwarded", "X-Real-IP", "Via", "CF-Connecting-IP")
        ),
        ({"Accept-Language": "en", "Origin": "http://localhost:19100"}, True),
    ],
    ids=str,
)
def test_on_loopback_it_is_full_unless_a_proxy_or_a_foreign_name_asks(serve: Serve, headers: dict[str, str], expected: bool) -> None:  # noqa: FBT001
    assert is_full(local(serve(**PAGES)), headers) is expected


@pytest.mark.fault(165)
def test_without_a_host_header_it_is_full(serve: Serve) -> None:
    with socket.create_connection(("127.0.0.1", port(serve(**PAGES))), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"secret-line" in b"".join(iter(lambda: sock.recv(1 << 16), b""))


@pytest.mark.root
@pytest.mark.fault(165)
@pytest.mark.parametrize("access", ["local", "authenticated", "all"])
def test_a_remote_client_without_a_password_sees_how_many_findings_of_which_level_and_nothing_else(access: str) -> None:
    """In a namespace of its own, with an address that is not loopback's, over IPv4, IPv6 and IPv4 on a socket for both."""
    with namespace() as name:
        for words in (
            ("link", "set", "lo", "up"),
            ("address", "add", "192.0.2.7/32", "dev", "lo"),
            ("address", "add", "2001:db8::7/128", "dev", "lo"),
        ):
            ip("-n", name, *words)
        command = inside(name, sys.executable, "-c", SERVER, access, "0.0.0.0:0", "[::]:0")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
            assert server.stdout
            ports = server.stdout.readline().split()
            try:
                for number, remote in (
                    *((number, remote) for number in ports for remote in ("192.0.2.7", "127.0.0.1")),
                    *((ports[1], remote) for remote in ("2001:db8::7", "::1")),
                ):
                    command = inside(name, sys.executable, "-c", CLIENT, remote, number, remote)
                    done = subprocess.run(command, capture_output=True, text=True, check=True)
                    answers = {path: (status, text) for path, status, text in map(json.loads, done.stdout.splitlines())}
                    assert len(answers) == 9
                    full = access == "all" or (access == "local" and remote in {"127.0.0.1", "::1"})
                    assert (answers["/"][0], answers["/-/status"][0]) == ANSWERS[full]
                    assert ("secret-line" in answers["/"][1]) is ("secret-line" in answers["/-/status?a"][1]) is full
                    if not full:
                        assert "1 critical" in answers["/"][1]
                        assert "secret" not in done.stdout
                        assert "9.8.7" not in done.stdout
            finally:
                server.kill()


@pytest.mark.fault(165)
def test_on_the_local_socket_it_is_full_whatever_the_headers(serve: Serve, tmp_path: Path) -> None:
    serve(**PAGES, access="authenticated", local_socket=tmp_path / "vitald.sock")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(tmp_path / "vitald.sock"))
        sock.sendall(b"GET /-/status HTTP/1.0\r\nHost: evil.example\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
        assert b"secret-line" in b"".join(iter(lambda: sock.recv(1 << 16), b""))


@pytest.mark.fault(165)
def test_with_a_password_it_is_full_and_without_one_there_is_nothing(serve: Serve, web: Callable[[str], Path]) -> None:
    exporter = serve(**PAGES, access="authenticated", web_config=web(USERS))
    token = base64.b64encode(b"alice:correct horse").decode()
    forwarded = {"Host": "vitald.example", "X-Forwarded-For": "203.0.113.9", "Authorization": f"Basic {token}"}
    for _ in range(2):  # verified by bcrypt, then from the cache
        assert is_full(local(exporter), forwarded)
    for headers in ({}, {"Authorization": "Basic " + base64.b64encode(b"alice:wrong").decode()}):
        for path in ("/", "/-/status", "/metrics"):
            client = local(exporter)
            client.request("GET", path, headers=headers)
            response = client.getresponse()
            assert (response.status, response.read()) == (401, b"Unauthorized; expected a user and a password.\n")


@pytest.mark.fault(165)
@pytest.mark.parametrize(
    ("config", "certificate", "expected"),
    [
        (TLS, "", False),
        (TLS, "client", False),  # not asked for, so not verified
        (MUTUAL, "client", True),
        (MUTUAL.replace("RequireAndVerify", "Verify").replace("ClientCert\n", "ClientCertIfGiven\n"), "", False),
        (MUTUAL.replace("RequireAndVerify", "Verify").replace("ClientCert\n", "ClientCertIfGiven\n"), "client", True),
        (MUTUAL.replace("RequireAndVerifyClientCert", "RequestClientCert"), "intruder", False),
    ],
    ids=["tls", "unasked", "required", "none given", "given", "unverified"],
)
def test_with_a_verified_client_certificate_it_is_full(
    serve: Serve,
    web: Callable[[str], Path],
    pki: Any,
    config: str,
    certificate: str,
    expected: bool,  # noqa: FBT001
) -> None:
    exporter = serve(**PAGES, access="authenticated", web_config=web(config))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = client_context(pki, certificate, maximum_version=version)
        assert is_full(http.client.HTTPSConnection("127.0.0.1", port(exporter), timeout=10, context=context)) is expected


@pytest.mark.fault(165)
@pytest.mark.parametrize("headers", [{}, {"Host": "evil.example"}])
def test_no_other_site_may_read_or_frame_a_page(serve: Serve, headers: dict[str, str]) -> None:
    client = local(serve(**PAGES))
    for path in ("/", "/-/status"):
        client.request("GET", path, headers={**headers, "Origin": "http://evil.example"})
        response = client.getresponse()
        response.read()
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert not [name for name in response.headers if name.lower().startswith("access-control-")]
        assert response.headers["Server"] is None
        if path == "/":
            assert response.headers["X-Frame-Options"] == "DENY"
            assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


def test_all_opens_it_to_everybody() -> None:
    assert may_see_findings("all", Client("203.0.113.9"), {b"host": b"vitald.example"})
    assert not may_see_findings("local", Client("203.0.113.9"), {b"host": b"localhost"})
