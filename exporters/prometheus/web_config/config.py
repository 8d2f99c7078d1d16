"""The exporter-toolkit's web configuration (its docs/web-configuration.md): TLS, client certificates, basic auth, headers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from exporters.prometheus.web_config.file import Reader

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.files import Stamp

_UNSUPPORTED = {
    "curve_preferences": "not supported, Python's ssl cannot order curves; leave it out",
    "rate_limit": "not supported; leave it out (a flood keeps nobody else out)",
}
_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}", re.ASCII)
_COSTS = range(4, 18)  # 4 is bcrypt's least; a cost of 17 takes 8 s, and Prometheus gives up after 10
_HEADERS: dict[str, tuple[str, ...]] = {  # the toolkit's allow-list, web/handler.go
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}
CLIENT_AUTH = ("NoClientCert", "RequestClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")  # weakest first


class TlsServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `tls_server_config`, as written."""

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
    """The section `http_server_config`. `http2` is accepted, since many files have it, and does nothing here."""

    http2: bool = True
    headers: dict[str, str] = {}


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tls_server_config: TlsServerConfig = TlsServerConfig()
    http_server_config: HttpServerConfig = HttpServerConfig()
    basic_auth_users: dict[str, str] = {}


@dataclass(frozen=True)
class Tls:
    """How to speak TLS. PEM bytes, already read: what was checked is what is used."""

    certificate: bytes
    key: bytes
    client_ca: bytes
    settings: TlsServerConfig


@dataclass(frozen=True)
class WebConfig:
    """A web configuration, checked as far as that needs no OpenSSL. `stamps` has path and stamp of each file it came from."""

    path: Path
    tls: Tls | None
    users: dict[bytes, bytes]
    headers: tuple[tuple[str, str], ...]
    stamps: tuple[tuple[str, Stamp], ...]


def read(path: Path) -> WebConfig:
    """Read and check a web config file with all that it names; BadInput says which file and key, and what would be right."""
    reader = Reader(path)
    try:
        file = msgspec.convert(_pruned(reader.tree(), reader), _File, strict=False)
        return _checked(file, reader)
    except msgspec.ValidationError as error:
        raise reader.refused("", str(error)) from None
    except UnicodeEncodeError:
        raise reader.refused("", "holds a lone surrogate, which is no character; write it as UTF-8") from None


def _checked(file: _File, reader: Reader) -> WebConfig:
    for user, hashed in file.basic_auth_users.items():
        _check_user(user, hashed, reader)
    for header, value in file.http_server_config.headers.items():
        _check_header(header, value, reader)
    settings = file.tls_server_config
    tls = None if settings == TlsServerConfig() else _tls(settings, reader)
    users = {user.encode(): hashed.encode() for user, hashed in file.basic_auth_users.items()}
    headers = tuple((key, value) for key, value in file.http_server_config.headers.items() if value)
    return WebConfig(reader.path, tls, users, headers, tuple(reader.stamps))


def _pruned(tree: dict[Any, Any], reader: Reader) -> dict[Any, Any]:
    """Leave out keys without a value, as the toolkit does, but no users: an empty hash is a mistake."""
    sections = [tree, *(section for section in tree.values() if isinstance(section, dict))]
    for key, reason in _UNSUPPORTED.items():
        if any(key in section for section in sections):
            raise reader.refused(key, reason)
    return {
        name: {key: value for key, value in section.items() if value != ""}
        if isinstance(section, dict) and name != "basic_auth_users"
        else section
        for name, section in tree.items()
        if section != ""
    }


def _tls(settings: TlsServerConfig, reader: Reader) -> Tls:
    certificate = _pem("cert", settings, reader)
    key = _pem("key", settings, reader)
    client_ca = _pem("client_ca", settings, reader)
    for name, content in (("cert", certificate), ("key", key)):
        if not content and not getattr(settings, f"{name}_file"):
            raise reader.refused("tls_server_config", f"{name}_file (or {name}) is missing; TLS needs a certificate and its key")
        if b"-----BEGIN" not in content:
            raise reader.refused("tls_server_config." + name, "no PEM in it; it must hold a -----BEGIN …----- block")
    for name in ("min_version", "max_version"):
        version = getattr(settings, name)
        if version not in ("TLS12", "TLS13"):
            raise reader.refused("tls_server_config." + name, f"{version!r:.80}: TLS 1.2 is the least that is spoken; write TLS12 or TLS13")
    if settings.min_version > settings.max_version:
        raise reader.refused("tls_server_config.min_version", "TLS13 is above max_version TLS12; nobody could connect")
    _check_client_auth(settings, reader, has_ca=bool(client_ca))
    return Tls(certificate, key, client_ca, settings)


def _pem(key: str, settings: TlsServerConfig, reader: Reader) -> bytes:
    """Give what stands beside the key, or in the file named beside `<key>_file`, relative to the web config file."""
    inline, file = getattr(settings, key), getattr(settings, f"{key}_file")
    if inline and file:
        raise reader.refused("tls_server_config." + key, f"given twice, inline and as {key}_file; keep one")
    return reader.content(reader.path.parent / file, f"tls_server_config.{key}_file") if file else inline.encode()


def _check_client_auth(settings: TlsServerConfig, reader: Reader, *, has_ca: bool) -> None:
    kind = settings.client_auth_type
    key = "tls_server_config.client_auth_type"
    if kind in ("RequireAnyClientCert", "RequireClientCert"):
        reason = f"{kind}: Python's ssl cannot require a certificate without verifying it; write RequireAndVerifyClientCert"
        raise reader.refused(key, reason)
    if kind not in CLIENT_AUTH:
        raise reader.refused(key, f"{kind!r:.80}: one of {', '.join(CLIENT_AUTH)} is right")
    if has_ca and kind == "NoClientCert":
        raise reader.refused(key, "NoClientCert, but there is a client_ca; write RequireAndVerifyClientCert, or leave client_ca out")
    if settings.client_allowed_sans and kind != "RequireAndVerifyClientCert":
        raise reader.refused("tls_server_config.client_allowed_sans", f"needs {key} RequireAndVerifyClientCert, not {kind}")


def _check_user(user: str, hashed: str, reader: Reader) -> None:
    if not user or ":" in user:
        raise reader.refused("basic_auth_users", f"{user!r:.80}: a user's name has at least one character and no colon (RFC 7617)")
    match = _BCRYPT.fullmatch(hashed)
    key = f"basic_auth_users.{user!r:.80}"
    if match is None:  # a mistyped hash is still a secret: it is not repeated
        raise reader.refused(key, "not a bcrypt hash ($2y$10$…); `htpasswd -nB USER` makes one")
    if int(match[1]) not in _COSTS:
        raise reader.refused(key, f"a bcrypt cost of {match[1]}; {_COSTS[0]} to {_COSTS[-1]} is right")


def _check_header(header: str, value: str, reader: Reader) -> None:
    key = f"http_server_config.headers.{header!r:.80}"
    if header not in _HEADERS:
        raise reader.refused(key, f"cannot be set; {', '.join(_HEADERS)} can")
    if value and _HEADERS[header] and value not in _HEADERS[header]:
        raise reader.refused(key, f"{value!r:.80}: {' or '.join(_HEADERS[header])} is right")
    if not (value.isascii() and value.isprintable()) or value != value.strip():
        raise reader.refused(key, "has characters that a header cannot carry; printable ASCII is right")
