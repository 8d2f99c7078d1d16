"""Web config file in the exporter-toolkit's format (its docs/web-configuration.md): TLS, client certificates, basic auth, headers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from exporters.prometheus.web_config.file import WebConfigReader

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.files import Stamp

_UNSUPPORTED = {
    "curve_preferences": "not supported, Python's ssl cannot order curves; expected no such key",
    "rate_limit": "not supported, connections are limited anyway; expected no such key",
}
_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}", re.ASCII)
_COSTS = range(4, 18)  # 4 is bcrypt's minimum; a cost of 17 takes 8 s, and Prometheus' scrape_timeout is 10 s
_HEADERS: dict[str, tuple[str, ...]] = {  # the toolkit's allow-list, web/handler.go
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}
CLIENT_AUTH = ("NoClientCert", "RequestClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")  # weakest first


class TlsServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `tls_server_config`, as written."""

    cert_file: str = ""
    key_file: str = ""
    cert: str = ""
    key: str = ""
    client_auth_type: str = "NoClientCert"
    client_ca_file: str = ""
    client_ca: str = ""
    client_allowed_sans: tuple[str, ...] = ()
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True


class HttpServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `http_server_config`. `http2` is accepted, since many files have it, and has no effect."""

    http2: bool = True
    headers: dict[str, str] = {}


class _WebConfigFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tls_server_config: TlsServerConfig = TlsServerConfig()
    http_server_config: HttpServerConfig = HttpServerConfig()
    basic_auth_users: dict[str, str] = {}


@dataclass(frozen=True)
class Tls:
    """TLS settings with the content of their files as PEM: what was checked is what is used."""

    certificate: bytes
    key: bytes
    client_ca: bytes
    settings: TlsServerConfig


@dataclass(frozen=True)
class WebConfig:
    """A web config, validated as far as that needs no OpenSSL. `stamps` has path and stamp of each file it was read from."""

    path: Path
    tls: Tls | None
    users: dict[bytes, bytes]
    headers: tuple[tuple[str, str], ...]
    stamps: tuple[tuple[str, Stamp], ...]


def read_web_config(path: Path) -> WebConfig:
    """Read and validate a web config file with all files that it refers to; BadInput with file, key and the expected value."""
    reader = WebConfigReader(path)
    try:
        file = msgspec.convert(_without_empty_values(reader.tree(), reader), _WebConfigFile, strict=False)
        return _validated(file, reader)
    except msgspec.ValidationError as error:
        raise reader.invalid("", str(error)) from None
    except UnicodeEncodeError:
        raise reader.invalid("", "holds a lone surrogate, which is no character; expected UTF-8") from None


def _validated(file: _WebConfigFile, reader: WebConfigReader) -> WebConfig:
    for user, hashed in file.basic_auth_users.items():
        _check_user(user, hashed, reader)
    for header, value in file.http_server_config.headers.items():
        _check_header(header, value, reader)
    settings = file.tls_server_config
    tls = None if settings == TlsServerConfig() else _tls(settings, reader)
    users = {user.encode(): hashed.encode() for user, hashed in file.basic_auth_users.items()}
    headers = tuple((key, value) for key, value in file.http_server_config.headers.items() if value)
    return WebConfig(reader.path, tls, users, headers, tuple(reader.stamps))


def _without_empty_values(tree: dict[Any, Any], reader: WebConfigReader) -> dict[Any, Any]:
    """Remove keys without a value, as the toolkit does, but no users: an empty hash is an error."""
    sections = [tree, *(section for section in tree.values() if isinstance(section, dict))]
    for key, reason in _UNSUPPORTED.items():
        if any(key in section for section in sections):
            raise reader.invalid(key, reason)
    return {
        name: {key: value for key, value in section.items() if value != ""}
        if isinstance(section, dict) and name != "basic_auth_users"
        else section
        for name, section in tree.items()
        if section != ""
    }


def _tls(settings: TlsServerConfig, reader: WebConfigReader) -> Tls:
    certificate = _pem("cert", settings, reader)
    key = _pem("key", settings, reader)
    client_ca = _pem("client_ca", settings, reader)
    for name, content in (("cert", certificate), ("key", key)):
        if not content and not getattr(settings, f"{name}_file"):
            raise reader.invalid("tls_server_config", f"{name}_file (or {name}) is missing; expected a certificate and its key")
        if b"-----BEGIN" not in content:
            raise reader.invalid("tls_server_config." + name, "no PEM in it; expected a -----BEGIN …----- block")
    for name in ("min_version", "max_version"):
        version = getattr(settings, name)
        if version not in ("TLS12", "TLS13"):
            raise reader.invalid("tls_server_config." + name, f"{version!r:.80}: not supported; expected TLS12 or TLS13")
    if settings.min_version > settings.max_version:
        raise reader.invalid("tls_server_config.min_version", "TLS13 is above max_version TLS12; expected at most max_version")
    _check_client_auth(settings, reader, has_ca=bool(client_ca))
    return Tls(certificate, key, client_ca, settings)


def _pem(key: str, settings: TlsServerConfig, reader: WebConfigReader) -> bytes:
    """Return the value of the key, or the content of the file `<key>_file`, relative to the web config file."""
    inline, file = getattr(settings, key), getattr(settings, f"{key}_file")
    if inline and file:
        raise reader.invalid("tls_server_config." + key, f"given twice, inline and as {key}_file; expected one of them")
    return reader.content(reader.path.parent / file, f"tls_server_config.{key}_file") if file else inline.encode()


def _check_client_auth(settings: TlsServerConfig, reader: WebConfigReader, *, has_ca: bool) -> None:
    key, kind = "tls_server_config.client_auth_type", settings.client_auth_type
    if kind in ("RequireAnyClientCert", "RequireClientCert"):
        reason = f"{kind}: Python's ssl cannot require a certificate without verifying it; expected RequireAndVerifyClientCert"
        raise reader.invalid(key, reason)
    if kind not in CLIENT_AUTH:
        raise reader.invalid(key, f"{kind!r:.80}: unknown; expected one of {', '.join(CLIENT_AUTH)}")
    if has_ca and kind == "NoClientCert":
        raise reader.invalid(key, "NoClientCert, but there is a client_ca; expected RequireAndVerifyClientCert, or no client_ca")
    if settings.client_allowed_sans and kind != "RequireAndVerifyClientCert":
        raise reader.invalid("tls_server_config.client_allowed_sans", f"needs {key}; expected RequireAndVerifyClientCert, not {kind}")


def _check_user(user: str, hashed: str, reader: WebConfigReader) -> None:
    if not user or ":" in user:
        raise reader.invalid("basic_auth_users", f"{user!r:.80}: not a user name; expected at least one character and no colon (RFC 7617)")
    match = _BCRYPT.fullmatch(hashed)
    key = f"basic_auth_users.{user!r:.80}"
    if match is None:  # a mistyped hash is still a secret: it is not printed
        raise reader.invalid(key, "not a bcrypt hash; expected $2y$10$… as printed by `htpasswd -nB USER`")
    if int(match[1]) not in _COSTS:
        raise reader.invalid(key, f"a bcrypt cost of {match[1]}; expected {_COSTS[0]} to {_COSTS[-1]}")


def _check_header(header: str, value: str, reader: WebConfigReader) -> None:
    key = f"http_server_config.headers.{header!r:.80}"
    if header not in _HEADERS:
        raise reader.invalid(key, f"cannot be set; expected one of {', '.join(_HEADERS)}")
    if value and _HEADERS[header] and value not in _HEADERS[header]:
        raise reader.invalid(key, f"{value!r:.80}: not allowed; expected {' or '.join(_HEADERS[header])}")
    if not (value.isascii() and value.isprintable()) or value != value.strip():
        raise reader.invalid(key, "has characters that a header cannot carry; expected printable ASCII")
