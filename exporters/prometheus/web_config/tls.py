"""TLS as the web config asks for it, in OpenSSL's words."""

from __future__ import annotations

import ipaddress
import os
import ssl
from typing import TYPE_CHECKING, Any

from exporters.prometheus.web_config.file import refused

if TYPE_CHECKING:
    from exporters.prometheus.web_config.config import Tls, WebConfig

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


def context(config: WebConfig, tls: Tls) -> ssl.SSLContext:
    """Make the server's TLS context; BadInput names the key that OpenSSL does not take."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = _VERSIONS[tls.settings.min_version]
    made.maximum_version = _VERSIONS[tls.settings.max_version]
    if not tls.settings.prefer_server_cipher_suites:
        made.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    _set_ciphers(made, config, tls)
    _load_certificate(made, config, tls)
    made.verify_mode = _CLIENT_AUTH[tls.settings.client_auth_type]
    if made.verify_mode != ssl.CERT_NONE:
        _load_client_ca(made, config, tls)
    return made


def _set_ciphers(made: ssl.SSLContext, config: WebConfig, tls: Tls) -> None:
    names = tls.settings.cipher_suites
    for name in names:
        if name not in _CIPHERS and name not in _TLS13_CIPHERS:
            known = ", ".join((*_CIPHERS, *_TLS13_CIPHERS))
            raise refused(config.path, "tls_server_config.cipher_suites", f"{name!r:.80} is unknown; one of {known} is right")
    ciphers = [_CIPHERS[name] for name in names if name in _CIPHERS]
    if names and not ciphers:
        if tls.settings.max_version == "TLS12":
            raise refused(
                config.path, "tls_server_config.cipher_suites", "only TLS 1.3 suites, but max_version is TLS12; add one of TLS 1.2"
            )
        made.minimum_version = ssl.TLSVersion.TLSv1_3
    if ciphers:
        try:
            made.set_ciphers(":".join(ciphers))
        except ssl.SSLError:
            raise refused(config.path, "tls_server_config.cipher_suites", "this host's OpenSSL allows none of them") from None


def _load_certificate(made: ssl.SSLContext, config: WebConfig, tls: Tls) -> None:
    """Load from memory what was read, so that a file that changes meanwhile cannot mix two pairs."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as memory:
            memory.write(tls.certificate + b"\n" + tls.key + b"\n")
        made.load_cert_chain(f"/proc/self/fd/{descriptor}", password=lambda: b"")  # without it OpenSSL would ask on the terminal
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise refused(config.path, "tls_server_config", "the key does not belong to the certificate") from None
        reason = (error.reason or str(error)).replace("_", " ").lower()
        raise refused(config.path, "tls_server_config", f"no usable certificate and unencrypted key in PEM ({reason:.120})") from None
    except ValueError:
        raise refused(config.path, "tls_server_config.key", "encrypted; an unencrypted key is needed") from None
    finally:
        os.close(descriptor)


def _load_client_ca(made: ssl.SSLContext, config: WebConfig, tls: Tls) -> None:
    if not tls.client_ca:
        made.load_default_certs(ssl.Purpose.CLIENT_AUTH)  # as Go does: the host's own
        return
    try:
        made.load_verify_locations(cadata=tls.client_ca.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError):
        raise refused(config.path, "tls_server_config.client_ca", "no usable certificate in PEM") from None


def admitted(connection: ssl.SSLSocket, allowed_sans: tuple[str, ...]) -> bool:
    """Whether the client's certificate carries one of the allowed names (DNS, IP, e-mail or URI), letter by letter."""
    if not allowed_sans:
        return True
    certificate: dict[str, Any] = dict(connection.getpeercert() or {})
    return any(_san(kind, value) in allowed_sans for kind, value in certificate.get("subjectAltName", ()))


def _san(kind: str, value: str) -> str:
    """Write a name as Go does: IPv6 addresses are the ones that OpenSSL writes otherwise."""
    if kind != "IP Address":
        return value
    try:
        return str(ipaddress.ip_address(value.strip()))
    except ValueError:
        return value
