from __future__ import annotations

import json
import re
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.host.imds import Endpoint, Imds, ImdsError, Instance, parse_document
from tests.collectors.host.imds_server import DOCUMENT, TOKEN, ImdsServer, ok, refusal

if TYPE_CHECKING:
    from tests.collectors.host.imds_server import Answer

KNOWN = Instance("i-1234567890abcdef0", "t2.micro", "us-west-2b", "ami-5fb8c835")


def fetch(*answers: Answer, timeout: float = 3.0) -> tuple[Instance | str, list[bytes]]:
    with ImdsServer(*answers) as server:
        try:
            return Imds(Endpoint.parse(server.url), timeout).fetch(), server.requests
        except ImdsError as error:
            said = str(error)
    assert TOKEN.decode() not in said
    return said, server.requests


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
def test_a_service_that_never_takes_its_own_token_is_asked_twice_at_most() -> None:
    said, requests = fetch(ok(TOKEN), refusal("401 - Unauthorized"), ok(TOKEN), refusal("401 - Unauthorized"))
    assert said == "GET /latest/dynamic/instance-identity/document was answered with status 401"
    assert len(requests) == 4


@pytest.mark.fault(45)
@pytest.mark.parametrize(
    "status", ["401 - Unauthorized", "403 - Forbidden", "404 - Not Found", "405 - Not Allowed", "429 - Too Many Requests", "503 - Busy"]
)
def test_a_refused_token_says_which_status(status: str) -> None:
    said, requests = fetch(refusal(status))
    assert said == f"PUT /latest/api/token was answered with status {status[:3]}"
    assert len(requests) == (2 if status.startswith("401") else 1)


@pytest.mark.fault(45)
@pytest.mark.parametrize("status", ["403 - Forbidden", "404 - Not Found", "429 - Too Many Requests"])
def test_a_refused_document_says_which_status(status: str) -> None:
    said, requests = fetch(ok(TOKEN), refusal(status))
    assert said == f"GET /latest/dynamic/instance-identity/document was answered with status {status[:3]}"
    assert len(requests) == 2


def test_a_redirect_is_not_followed() -> None:
    with ImdsServer(ok(DOCUMENT)) as elsewhere:
        said, _ = fetch(ok(TOKEN), refusal("302 Found", f"Location: {elsewhere.url}/\r\n"))
        assert said == "GET /latest/dynamic/instance-identity/document was answered with status 302"
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
    said, _ = fetch(answer, timeout=0.3)
    assert said == "PUT /latest/api/token was not answered within 0.3 s"
    assert time.monotonic() - before < 2.5  # an order more than it takes; the machine is shared


@pytest.mark.fault(45)
def test_the_timeout_is_over_all_requests_together() -> None:
    def slow(connection: socket.socket) -> None:
        time.sleep(0.25)
        connection.sendall(ok(TOKEN))

    said, _ = fetch(slow, None, timeout=0.4)
    assert said == "GET /latest/dynamic/instance-identity/document was not answered within 0.4 s"


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

    said, _ = fetch(ok(TOKEN), flood)
    assert said in {
        "GET /latest/dynamic/instance-identity/document was answered with more than 65536 bytes",
        "GET /latest/dynamic/instance-identity/document was answered with something that is no HTTP",
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
def test_what_is_no_http_is_an_error_of_ours(before: tuple[bytes, ...], answer: bytes) -> None:
    said, _ = fetch(*before, answer)
    assert isinstance(said, str)
    assert said.endswith("was answered with something that is no HTTP")


@pytest.mark.fault(45)
@pytest.mark.parametrize("token", [b"", b"two words", TOKEN + b"\r\nEvil: 1", b"\x00", b"x" * 1025, "tökén".encode()])
def test_a_token_that_is_none_is_neither_sent_nor_quoted(token: bytes) -> None:
    said, requests = fetch(ok(token))
    assert said == "PUT /latest/api/token was answered with something that is no token"
    assert len(requests) == 1


@pytest.mark.fault(45)
def test_nobody_listening_is_said_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ImdsError, match=r"^PUT /latest/api/token: Connection refused$"):
        Imds(Endpoint("127.0.0.1", port)).fetch()


def test_closing_ends_a_question_that_is_still_out() -> None:
    with ImdsServer(None) as server:
        imds = Imds(Endpoint.parse(server.url), timeout=60)
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
        imds = Imds(Endpoint.parse(server.url))
        imds.fetch()
        assert TOKEN.decode() not in f"{vars(imds)!r}{imds!r}"


@pytest.mark.parametrize(
    ("url", "endpoint", "text"),
    [
        ("http://169.254.169.254", Endpoint("169.254.169.254", 80), "http://169.254.169.254"),
        ("http://[fd00:ec2::254]/", Endpoint("fd00:ec2::254", 80), "http://[fd00:ec2::254]"),
        ("http://127.0.0.1:1338", Endpoint("127.0.0.1", 1338), "http://127.0.0.1:1338"),
    ],
)
def test_a_url_names_an_endpoint(url: str, endpoint: Endpoint, text: str) -> None:
    assert Endpoint.parse(url) == endpoint
    assert str(endpoint) == text


@pytest.mark.parametrize(
    "url",
    [
        "",
        "169.254.169.254",
        "https://169.254.169.254",
        "http://",
        "http://imds.internal",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:x",
        "http://u:p@127.0.0.1",
        "http://127.0.0.1/latest",
        "http://127.0.0.1?x",
        "http://127.0.0.1#x",
        "http://[::1",
        "ftp://127.0.0.1",
    ],
)
def test_a_url_that_is_no_endpoint_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not the URL of a metadata service; write it like"):
        Endpoint.parse(url)


def test_one_bad_field_costs_only_itself() -> None:
    document = json.loads(DOCUMENT) | {"instanceType": 'x"} 1\nevil{a="', "imageId": 7, "availabilityZone": None}
    assert parse_document(json.dumps(document).encode()) == Instance(instance_id="i-1234567890abcdef0")


@pytest.mark.fault(45)
@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b'"i-1"', b"<html>", b"[" * 60_000, b"1" * 60_000, b"\xff\xfe", b'{"instanceId": ""}']
)
def test_a_document_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(ImdsError, match=r"^what it answered is no instance identity document$"):
        parse_document(body)


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=80) | st.lists(st.text(max_size=3), max_size=2)
FIELDS = st.dictionaries(st.sampled_from(["instanceId", "instanceType", "availabilityZone", "imageId", "region"]), VALUES)
CUT = st.integers(0, len(DOCUMENT)).map(lambda end: DOCUMENT[:end])


@pytest.mark.fault(45)
@given(st.binary(max_size=200) | FIELDS.map(lambda fields: json.dumps(fields).encode()) | CUT)
def test_whatever_the_document_only_clean_words_or_our_error_come_out(body: bytes) -> None:
    try:
        instance = parse_document(body)
    except ImdsError:
        return
    words = [instance.instance_id, instance.instance_type, instance.availability_zone, instance.ami_id]
    assert any(words)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{0,64}", word) for word in words)
