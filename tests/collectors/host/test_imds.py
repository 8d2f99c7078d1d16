from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from collectors.host.imds import ImdsClient, ImdsEndpoint, ImdsError, InstanceIdentity
from tests.collectors.host.imds_server import DOCUMENT, TOKEN, ImdsServer, ok, refusal

if TYPE_CHECKING:
    from tests.collectors.host.imds_server import Answer


KNOWN = InstanceIdentity("i-1234567890abcdef0", "t2.micro", "us-west-2b", "ami-5fb8c835")


def fetch(*answers: Answer, timeout: float = 3.0) -> tuple[InstanceIdentity | str, list[bytes]]:
    with ImdsServer(*answers) as server:
        try:
            return ImdsClient(ImdsEndpoint.parse(server.url), timeout).fetch(), server.requests
        except ImdsError as error:
            message = str(error)
    assert TOKEN.decode() not in message
    return message, server.requests


def test_a_token_is_put_and_the_document_is_read_with_it() -> None:
    instance, (put, get) = fetch(ok(TOKEN), ok(DOCUMENT))
    assert instance == KNOWN
    assert put.startswith(b"PUT /latest/api/token HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n" in put
    assert b"X-Forwarded-For" not in put  # the service refuses a PUT that has it
    assert get.startswith(b"GET /latest/dynamic/instance-identity/document HTTP/1.1\r\n")
    assert b"\r\nX-aws-ec2-metadata-token: " + TOKEN + b"\r\n" in get


@pytest.mark.fault(45)
def test_an_expired_token_is_replaced_once() -> None:
    instance, requests = fetch(ok(TOKEN), refusal("401 - Unauthorized"), ok(b"AQAEAnother=="), ok(DOCUMENT))
    assert instance == KNOWN
    assert [request[:3] for request in requests] == [b"PUT", b"GET", b"PUT", b"GET"]
    assert b"AQAEAnother==" in requests[3]


@pytest.mark.fault(45)
def test_a_service_that_refuses_its_own_token_is_queried_twice_at_most() -> None:
    message, requests = fetch(ok(TOKEN), refusal("401 - Unauthorized"), ok(TOKEN), refusal("401 - Unauthorized"))
    assert message == "GET /latest/dynamic/instance-identity/document: status 401"
    assert len(requests) == 4


@pytest.mark.fault(45)
@pytest.mark.parametrize(
    "status", ["401 - Unauthorized", "403 - Forbidden", "404 - Not Found", "405 - Not Allowed", "429 - Too Many Requests", "503 - Busy"]
)
def test_a_refused_token_is_an_error_with_its_status(status: str) -> None:
    message, requests = fetch(refusal(status))
    assert message == f"PUT /latest/api/token: status {status[:3]}"
    assert len(requests) == (2 if status.startswith("401") else 1)


@pytest.mark.fault(45)
@pytest.mark.parametrize("status", ["403 - Forbidden", "404 - Not Found", "429 - Too Many Requests"])
def test_a_refused_document_says_which_status(status: str) -> None:
    message, requests = fetch(ok(TOKEN), refusal(status))
    assert message == f"GET /latest/dynamic/instance-identity/document: status {status[:3]}"
    assert len(requests) == 2


def test_a_redirect_is_not_followed() -> None:
    with ImdsServer(ok(DOCUMENT)) as elsewhere:
        message, _ = fetch(ok(TOKEN), refusal("302 Found", f"Location: {elsewhere.url}/\r\n"))
        assert message == "GET /latest/dynamic/instance-identity/document: status 302"
        assert elsewhere.requests == []


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with ImdsServer(ok(DOCUMENT)) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert fetch(ok(TOKEN), ok(DOCUMENT))[0] == KNOWN
        assert proxy.requests == []


def drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:  # a header line that never ends, each byte well within any time limit of one read
        connection.sendall(b"X")
        time.sleep(0.02)


@pytest.mark.fault(45)
@pytest.mark.parametrize("answer", [None, drip])
def test_a_service_that_hangs_or_drips_is_left_within_the_timeout(answer: Answer) -> None:
    before = time.monotonic()
    message, _ = fetch(answer, timeout=0.3)
    assert message == "PUT /latest/api/token: no answer within 0.3 s"
    assert time.monotonic() - before < 2.5  # an order more than it takes; the machine is shared


@pytest.mark.fault(45)
def test_the_timeout_is_over_all_requests_together() -> None:
    def slow(connection: socket.socket) -> None:
        time.sleep(0.25)
        connection.sendall(ok(TOKEN))

    message, _ = fetch(slow, None, timeout=0.4)
    assert message == "GET /latest/dynamic/instance-identity/document: no answer within 0.4 s"


@pytest.mark.fault(45)
@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b""])
def test_a_body_of_10_mb_is_not_read_to_its_end(head: bytes) -> None:
    sent = 0

    def flood(connection: socket.socket) -> None:
        nonlocal sent
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        connection.sendall(head)
        for _ in range(1000):
            sent += connection.send(b"x" * 10_000)

    message, _ = fetch(ok(TOKEN), flood)
    assert message in {
        "GET /latest/dynamic/instance-identity/document: the answer has more than 65536 bytes",
        "GET /latest/dynamic/instance-identity/document: the answer is not HTTP",
    }
    assert sent < 10_000_000


@pytest.mark.fault(45)
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\xff" * 100,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
@pytest.mark.parametrize("before", [(), (ok(TOKEN),)])
def test_an_answer_that_is_not_http_is_an_imds_error(before: tuple[bytes, ...], answer: bytes) -> None:
    message, _ = fetch(*before, answer)
    assert isinstance(message, str)
    assert message.endswith("the answer is not HTTP")


@pytest.mark.fault(45)
@pytest.mark.parametrize("token", [b"", b"two words", TOKEN + b"\r\nEvil: 1", b"\x00", b"x" * 1025, "tökén".encode()])
def test_an_invalid_token_is_neither_sent_nor_quoted(token: bytes) -> None:
    message, requests = fetch(ok(token))
    assert message == "PUT /latest/api/token: the answer is not a valid token"
    assert len(requests) == 1


@pytest.mark.fault(45)
def test_a_refused_connection_is_an_imds_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ImdsError, match=r"^PUT /latest/api/token: Connection refused$"):
        ImdsClient(ImdsEndpoint("127.0.0.1", port)).fetch()


def test_closing_aborts_a_request_in_progress() -> None:
    with ImdsServer(None) as server:
        imds = ImdsClient(ImdsEndpoint.parse(server.url), timeout=60)
        errors: list[str] = []

        def ask() -> None:
            try:
                imds.fetch()
            except ImdsError as error:
                errors.append(str(error))

        thread = threading.Thread(target=ask)
        thread.start()
        assert server.asked.wait(10)
        imds.close()
        thread.join(10)
        assert not thread.is_alive()
        assert len(errors) == 1
        with pytest.raises(ImdsError, match="closed"):
            imds.fetch()
        assert len(server.requests) == 1


def test_the_token_is_in_no_attribute_and_no_repr() -> None:
    with ImdsServer(ok(TOKEN), ok(DOCUMENT)) as server:
        imds = ImdsClient(ImdsEndpoint.parse(server.url))
        imds.fetch()
        assert TOKEN.decode() not in f"{vars(imds)!r}{imds!r}"
