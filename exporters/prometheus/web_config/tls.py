"""TLS context of a web config, by OpenSSL."""

from __future__ import annotations

import ipaddress
import os
import ssl
from typing import TYPE_CHECKING, Any

from exporters.prometheus.web_config.file import invalid

if TYPE_CHECKING:
    from pathlib import Path

    from exporters.prometheus.web_config.config import Tls

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "RequestClientCert": ssl.CERT_NONE,  # Go asks for a certificate and then makes no use of it: not asking admits the same clients
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_CIPHERS = {  # Go's crypto/tls names → OpenSSL's; those of tls.CipherSuites() that TLS 1.2 has
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
_TLS13_CIPHERS = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")  # always on, as in Go


def make_context(path: Path, tls: Tls) -> ssl.SSLContext:
    """Return the server's TLS context; BadInput with the key that OpenSSL rejects."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.settings.min_version]
    context.maximum_version = _VERSIONS[tls.settings.max_version]
    if not tls.settings.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    _set_ciphers(context, path, tls)
    _load_certificate(context, path, tls)
    context.verify_mode = _CLIENT_AUTH[tls.settings.client_auth_type]
    if context.verify_mode != ssl.CERT_NONE and not tls.client_ca:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)  # as Go does: the host's own
    elif context.verify_mode != ssl.CERT_NONE:
        try:
            context.load_verify_locations(cadata=tls.client_ca.decode("ascii"))
        except (ssl.SSLError, UnicodeDecodeError):
            raise invalid(path, "tls_server_config.client_ca", "not usable; expected a certificate in PEM") from None
    return context


def _set_ciphers(context: ssl.SSLContext, path: Path, tls: Tls) -> None:
    names = tls.settings.cipher_suites
    for name in names:
        if name not in _CIPHERS and name not in _TLS13_CIPHERS:
            known = ", ".join((*_CIPHERS, *_TLS13_CIPHERS))
            raise invalid(path, "tls_server_config.cipher_suites", f"{name!r:.80} is unknown; expected one of {known}")
    ciphers = [_CIPHERS[name] for name in names if name in _CIPHERS]
    if names and not ciphers:
        if tls.settings.max_version == "TLS12":
            raise invalid(path, "tls_server_config.cipher_suites", "only TLS 1.3 suites, but max_version is TLS12; expected one of TLS 1.2")
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    if ciphers:
        try:
            context.set_ciphers(":".join(ciphers))
        except ssl.SSLError:
            raise invalid(path, "tls_server_config.cipher_suites", "not in this OpenSSL; expected one of `openssl ciphers`") from None


def _load_certificate(context: ssl.SSLContext, path: Path, tls: Tls) -> None:
    """Load from memory what was read, so that a file that changes meanwhile cannot mix two pairs."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as memory:
            memory.write(tls.certificate + b"\n" + tls.key + b"\n")
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=lambda: b"")  # else OpenSSL would prompt on the terminal
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise invalid(path, "tls_server_config", "the key does not belong to the certificate; expected a pair") from None
        reason = (error.reason or str(error)).replace("_", " ").lower()
        raise invalid(path, "tls_server_config", f"not usable ({reason:.120}); expected certificate and unencrypted key in PEM") from None
    except ValueError:
        raise invalid(path, "tls_server_config.key", "encrypted; expected an unencrypted key") from None
    finally:
        os.close(descriptor)


def is_san_allowed(connection: ssl.SSLSocket, allowed_sans: tuple[str, ...]) -> bool:
    """Return whether the client's certificate has one of the allowed names (DNS, IP, e-mail or URI), compared letter by letter."""
    if not allowed_sans:
        return True
    certificate: dict[str, Any] = dict(connection.getpeercert() or {})
    return any(_san(kind, value) in allowed_sans for kind, value in certificate.get("subjectAltName", ()))


def _san(kind: str, value: str) -> str:
    """Return a name as Go writes it: only IPv6 addresses are written differently by OpenSSL."""
    if kind != "IP Address":
        return value
    try:
        return str(ipaddress.ip_address(value.strip()))
    except ValueError:
        return value
