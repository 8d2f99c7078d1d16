"""A metadata service on loopback with given answers, byte for byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Self

Answer = bytes | Callable[[socket.socket], None] | None

TOKEN = b"AQAAAPm_49V6IGWwyABYuQXrWfdP6yrb3-iy6UsOKg5zeol4pFOp_g=="
DOCUMENT = b"""{
  "accountId" : "123456789012",
  "architecture" : "x86_64",
  "availabilityZone" : "us-west-2b",
  "billingProducts" : null,
  "devpayProductCodes" : null,
  "marketplaceProductCodes" : [ "1abc2defghijklm3nopqrs4tu" ],
  "imageId" : "ami-5fb8c835",
  "instanceId" : "i-1234567890abcdef0",
  "instanceType" : "t2.micro",
  "kernelId" : null,
  "pendingTime" : "2016-11-19T16:32:11Z",
  "privateIp" : "10.158.112.84",
  "ramdiskId" : null,
  "region" : "us-west-2",
  "version" : "2017-09-30"
}"""  # the example of the EC2 User Guide, retrieve-iid


def ok(body: bytes, kind: str = "text/plain") -> bytes:
    """Return an answer with the headers of EC2's server ("EC2ws")."""
    head = (
        f"HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 60\r\nContent-Type: {kind}\r\nAccept-Ranges: none\r\n"
        f"Last-Modified: Sun, 13 Feb 2022 13:17:17 GMT\r\nContent-Length: {len(body)}\r\n"
        "Date: Sun, 13 Feb 2022 13:37:57 GMT\r\nServer: EC2ws\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def refusal(status: str, extra: str = "") -> bytes:
    """Return an error answer: an XHTML page."""
    page = (
        '<?xml version="1.0" encoding="iso-8859-1"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"\n'
        '\t"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en"'
        ' lang="en">\n'
        f" <head>\n  <title>{status}</title>\n </head>\n <body>\n  <h1>{status}</h1>\n </body>\n</html>\n"
    )
    head = (
        f"HTTP/1.1 {status}\r\n{extra}Content-Length: {len(page)}\r\nContent-Type: text/html\r\nServer: EC2ws\r\nConnection: close\r\n\r\n"
    )
    return (head + page).encode()


class ImdsServer:
    """Answers one connection after another from `answers`; the last one is repeated. None never answers."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self.requests: list[bytes] = []
        self.asked = threading.Event()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._done.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._answer(connection, self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])

    def _answer(self, connection: socket.socket, answer: Answer) -> None:
        request = b""
        while b"\r\n\r\n" not in request and (data := connection.recv(8192)):
            request += data
        self.requests.append(request)
        self.asked.set()
        try:
            if answer is None:
                connection.recv(1)  # until the client gives up
            elif callable(answer):
                answer(connection)
            else:
                connection.sendall(answer)
        except OSError:
            pass  # the client has closed the connection, as it should
