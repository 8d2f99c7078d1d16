"""HTTPS client of the exporter."""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING, Any

from tests.exporters.prometheus.http_client import port

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporters.prometheus.exporter import Exporter

    Serve = Callable[..., Exporter]


TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
MUTUAL = TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"


def client_context(pki: Any, client: str = "", **versions: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=pki.folder / "ca.crt")
    if client:
        context.load_cert_chain(pki.folder / f"{client}.crt", pki.folder / f"{client}.key")
    for name, version in versions.items():
        setattr(context, name, version)
    return context


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
