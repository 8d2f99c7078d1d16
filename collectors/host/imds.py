"""The EC2 instance metadata service, version 2: a token by PUT, then the instance identity document.

Source: "Use the Instance Metadata Service" and "Instance identity documents", Amazon EC2 User Guide. Not `http.client`: its timeout
limits each read, so a server that sends a byte a second would block for hours; here one deadline limits the whole exchange. No redirect
is followed, no proxy used. The token is in local variables only: never in an attribute, a message or a repr.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import socket
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

_LARGEST = 64 * 1024  # bytes of an answer, headers included; a document has about 500
_TOKEN = re.compile(rb"[!-~]{1,1024}")  # valid in a header; documented tokens have 56 characters
_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_DOCUMENT = "/latest/dynamic/instance-identity/document"
_OK, _UNAUTHORIZED, _HTTP = 200, 401, 80


@dataclass(frozen=True, slots=True)
class InstanceIdentity:
    """Identity of an EC2 instance; empty strings where unknown."""

    instance_id: str = ""
    instance_type: str = ""
    availability_zone: str = ""
    ami_id: str = ""


class ImdsError(Exception):
    """No usable answer; the message is for a log and contains no token."""


class _RefusedError(ImdsError):
    """An HTTP status other than 200."""

    def __init__(self, method: str, path: str, status: int) -> None:
        super().__init__(f"{method} {path}: status {status}")
        self.status = status


@dataclass(frozen=True, slots=True)
class ImdsEndpoint:
    """Address and port of the service; never a name, since a resolver may block."""

    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> ImdsEndpoint:
        """Parse `http://ADDRESS[:PORT]`. Raises ValueError with what would be right."""
        reason = f'{url!r:.80} is not the URL of a metadata service; expected one like "http://169.254.169.254" or "http://[fd00:ec2::254]"'
        try:
            parts = urlsplit(url)
            address, port = ipaddress.ip_address(parts.hostname or ""), parts.port
        except ValueError:
            raise ValueError(reason) from None
        if parts.scheme != "http" or "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment or port == 0:
            raise ValueError(reason)
        return cls(str(address), port or _HTTP)

    def __str__(self) -> str:
        return f"http://{self.authority}"

    @property
    def authority(self) -> str:
        """Address and port as a Host header has them (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _HTTP else f"{host}:{self.port}"


class ImdsClient:
    """Client of one metadata service. `fetch` is for one thread; `close` may be called from another and aborts a `fetch`."""

    def __init__(self, endpoint: ImdsEndpoint, timeout: float = 3.0) -> None:
        self.endpoint = endpoint
        self._timeout = timeout  # seconds, for one whole fetch
        self._socket: socket.socket | None = None
        self._closed = False

    def fetch(self) -> InstanceIdentity:
        """Fetch the identity of this instance. Raises ImdsError, within the timeout."""
        deadline = time.monotonic() + self._timeout
        try:
            body = self._document(self._token(deadline), deadline)
        except _RefusedError as refused:
            if refused.status != _UNAUTHORIZED:
                raise
            body = self._document(self._token(deadline), deadline)
        return parse_document(body)

    def close(self) -> None:
        """Abort a fetch in progress, and all later ones."""
        self._closed = True
        if current := self._socket:
            with contextlib.suppress(OSError):
                current.shutdown(socket.SHUT_RDWR)  # interrupts a connect, a send or a recv; close() alone would not

    def _token(self, deadline: float) -> bytes:
        token = self._request("PUT", "/latest/api/token", (b"X-aws-ec2-metadata-token-ttl-seconds", b"60"), deadline)
        if not _TOKEN.fullmatch(token):  # h11 would refuse it too, and quote it in its message
            raise ImdsError("PUT /latest/api/token: the answer is not a valid token")
        return token

    def _document(self, token: bytes, deadline: float) -> bytes:
        return self._request("GET", _DOCUMENT, (b"X-aws-ec2-metadata-token", token), deadline)

    def _request(self, method: str, path: str, header: tuple[bytes, bytes], deadline: float) -> bytes:
        try:
            with socket.socket(socket.AF_INET6 if ":" in self.endpoint.host else socket.AF_INET) as connection:
                self._socket = connection
                if self._closed:  # checked after `_socket` is set: of both threads the later one sees the other's write
                    raise ImdsError("the collector was closed")
                connection.settimeout(_left(deadline))
                connection.connect((self.endpoint.host, self.endpoint.port))
                status, body = _exchange(connection, method, path, [(b"Host", self.endpoint.authority.encode()), header], deadline)
        except TimeoutError:
            raise ImdsError(f"{method} {path}: no answer within {self._timeout:g} s") from None
        except OSError as error:
            raise ImdsError(f"{method} {path}: {error.strerror or error}") from None
        except h11.ProtocolError:
            raise ImdsError(f"{method} {path}: the answer is not HTTP") from None
        finally:
            self._socket = None
        if status != _OK:
            raise _RefusedError(method, path, status)
        return body


def parse_document(body: bytes) -> InstanceIdentity:
    """Parse an instance identity document (JSON). A field of another type is left out. Raises ImdsError without any field."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        words = [document.get(key) for key in ("instanceId", "instanceType", "availabilityZone", "imageId")]
        found = [word if isinstance(word, str) and _WORD.fullmatch(word) else "" for word in words]
        if any(found):
            return InstanceIdentity(*found)
    raise ImdsError("the answer is not an instance identity document")


def _exchange(connection: socket.socket, method: str, path: str, headers: list[tuple[bytes, bytes]], deadline: float) -> tuple[int, bytes]:
    """Send one request and return the status and body of its answer."""
    http = h11.Connection(h11.CLIENT)
    request = h11.Request(method=method, target=path, headers=[*headers, (b"Content-Length", b"0"), (b"Connection", b"close")])
    connection.sendall((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
    status, body, received = 0, bytearray(), 0
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            connection.settimeout(_left(deadline))
            data = connection.recv(8192)
            received += len(data)
            if received > _LARGEST:
                raise ImdsError(f"{method} {path}: the answer has more than {_LARGEST} bytes")
            http.receive_data(data)
        elif isinstance(event, h11.Response):
            status = event.status_code
            if status != _OK:
                return status, b""
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return status, bytes(body)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
