"""Basic authentication over real sockets: valid users, the cache of passwords, and a flood of invalid ones."""

from __future__ import annotations

import base64
import http.client
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.prometheus.web_config import reloader
from exporters.prometheus.web_config.auth import Credentials, Users, parse_authorization
from tests.exporters.prometheus.http_client import port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from exporters.prometheus.exporter import Exporter

    Serve = Callable[..., Exporter]

COST = 4


def hashed(password: bytes, cost: int = COST) -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(cost)).decode()


def config(path: Path, **users: bytes) -> Path:
    path.write_text("basic_auth_users:\n" + "".join(f"  {user}: {hashed(password)}\n" for user, password in users.items()))
    return path


def basic(user: bytes, password: bytes) -> str:
    return "Basic " + base64.b64encode(user + b":" + password).decode()


def ask(exporter: Exporter, authorization: str = "", path: str = "/metrics", source: str = "127.0.0.1") -> http.client.HTTPResponse:
    client = http.client.HTTPConnection("127.0.0.1", port(exporter), timeout=20, source_address=(source, 0))
    client.request("GET", path, headers={"Authorization": authorization} if authorization else {})
    response = client.getresponse()
    response.read()
    client.close()
    return response


def test_only_a_valid_user_with_the_valid_password_is_authenticated(serve: Serve, tmp_path: Path) -> None:
    exporter = serve(web_config=config(tmp_path / "web.yml", alice=b"wonder", bob="gr\u00fcn:1".encode()))
    for path in ("/metrics", "/", "/-/healthy", "/nowhere"):
        response = ask(exporter, path=path)
        assert (response.status, response.headers["WWW-Authenticate"]) == (401, 'Basic realm="vitald", charset="UTF-8"')
    right = [basic(b"alice", b"wonder"), basic(b"bob", "gr\u00fcn:1".encode())]
    assert [ask(exporter, credentials).status for credentials in right * 2] == [200] * 4
    wrong = [(b"alice", b"wonde"), (b"alice", b""), (b"alic", b"ewonder"), (b"bob", b"wonder"), (b"nobody", b"fakepassword"), (b"", b"")]
    assert [ask(exporter, basic(*credentials)).status for credentials in wrong * 2] == [401] * 12
    assert [ask(exporter, odd).status for odd in ("Basic", "Basic !", "Bearer x", "Basic YWxpY2U=", "Basic " + "A" * 4000)] == [401] * 5


def test_a_valid_password_is_verified_once_and_an_invalid_one_each_time(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    verify = Users.verify

    def counted(users: Users, credentials: Credentials) -> bool:
        asked.append(credentials.password)
        return verify(users, credentials)

    monkeypatch.setattr(Users, "verify", counted)
    exporter = serve(web_config=config(tmp_path / "web.yml", alice=b"wonder"))
    for password in (b"wonder", b"wrong", b"wonder", b"wrong", b"wonder"):
        ask(exporter, basic(b"alice", password))
    assert asked == [b"wonder", b"wrong", b"wrong"]


def test_the_cache_cannot_be_poisoned() -> None:
    users = Users({b"alice": hashed(b"wonder").encode(), b"al": hashed(b"x").encode()})
    users.cache(Credentials(b"alice", b"wonder"))
    for user, password in ((b"al", b"icewonder"), (b"alicew", b"onder"), (b"", b"alicewonder"), (b"alice", b"wonder\0"), (b"nobody", b"")):
        assert not users.is_cached(Credentials(user, password))
    assert users.is_cached(Credentials(b"alice", b"wonder"))
    assert not Users({b"alice": hashed(b"wonder").encode()}).is_cached(Credentials(b"alice", b"wonder"))  # another key, another cache


def test_an_unknown_user_costs_what_a_known_one_does() -> None:
    users = Users({b"alice": hashed(b"wonder", 8).encode()})

    def seconds(user: bytes) -> float:
        started = time.thread_time()
        assert not users.verify(Credentials(user, b"wrong"))
        return time.thread_time() - started

    known, unknown = (min(seconds(user) for _ in range(5)) for user in (b"alice", b"nobody"))
    assert known / 3 < unknown < known * 3


def test_passwords_are_cut_at_the_length_that_bcrypt_reads(serve: Serve, tmp_path: Path) -> None:
    exporter = serve(web_config=config(tmp_path / "web.yml", alice=b"a" * 72))
    assert [ask(exporter, basic(b"alice", b"a" * size)).status for size in (71, 72, 73, 1000)] == [401, 200, 200, 200]


def test_a_removed_user_is_rejected_at_once_on_kept_connections_too(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloader, "_CHECK_SECONDS", 0.0)
    path = config(tmp_path / "web.yml", alice=b"wonder", bob=b"builder")
    exporter = serve(web_config=path)
    client = http.client.HTTPConnection("127.0.0.1", port(exporter), timeout=10)
    client.request("GET", "/metrics", headers={"Authorization": basic(b"alice", b"wonder")})
    assert client.getresponse().read()
    config(path, bob=b"builder")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):  # noqa: PT012 — either may be where it shows
        client.request("GET", "/metrics", headers={"Authorization": basic(b"alice", b"wonder")})
        client.getresponse()
    assert ask(exporter, basic(b"alice", b"wonder")).status == 401
    assert ask(exporter, basic(b"bob", b"builder")).status == 200
    client.close()


@pytest.mark.fault(31)
@pytest.mark.parametrize("edit", ["", "basic_auth_users:\n", "basic_auth_users: {alice: x}\n", "http_server_config:\n", "\0"])
def test_a_reload_never_removes_authentication(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: str) -> None:
    monkeypatch.setattr(reloader, "_CHECK_SECONDS", 0.0)
    path = config(tmp_path / "web.yml", alice=b"wonder")
    exporter = serve(web_config=path)
    path.write_text(edit)
    for _ in range(2):
        assert ask(exporter).status == 401
        assert ask(exporter, basic(b"alice", b"wonder")).status == 200


@pytest.mark.fault(4)
def test_a_flood_of_invalid_passwords_does_not_delay_the_valid_one(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    secret = hashed(b"right", 10)
    path.write_text(f"basic_auth_users:\n  prometheus: {secret}\n")
    started = time.monotonic()
    assert bcrypt.checkpw(b"right", secret.encode())
    one_hash = time.monotonic() - started
    exporter = serve(web_config=path)
    wrong = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: " + basic(b"prometheus", b"wrong").encode() + b"\r\n\r\n"
    stop = threading.Event()

    def flood() -> None:
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", port(exporter)), source_address=("127.0.0.66", 0), timeout=20) as sock,
        ):
            while not stop.is_set():
                sock.sendall(wrong)
                if not sock.recv(4096):
                    return

    threads = [threading.Thread(target=flood) for _ in range(40)]
    for thread in threads:
        thread.start()
    try:
        started = time.monotonic()
        assert ask(exporter, basic(b"prometheus", b"right")).status == 200  # not yet known: it waits for one hash, not for forty
        assert ask(exporter, basic(b"prometheus", b"right")).status == 200
        took = time.monotonic() - started
    finally:
        stop.set()
        exporter.close()
        for thread in threads:
            thread.join()
    assert took < 40 * one_hash


@pytest.mark.fault(55)
@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda raw: b"Basic " + base64.b64encode(raw)))
def test_no_header_breaks_the_parsing_of_credentials(header: bytes) -> None:
    credentials: Any = parse_authorization(header)
    assert credentials is None or (isinstance(credentials.user, bytes) and len(credentials.password) <= 72 and b":" not in credentials.user)
