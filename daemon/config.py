"""Settings: vitald.toml with the flags applied, as one frozen struct. Errors read `FILE: KEY: what is wrong; what is expected`."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from collectors.files import read_regular
from collectors.model import BadInput
from collectors.settings import Derived, decode_hook, refuse_unless
from collectors.toml_reader import BadToml, read_toml
from exporters.prometheus.access import LOCAL, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.settings import Settings

DEFAULT_FILE = Path("/etc/vitald/vitald.toml")
DEFAULT_STATE = Path("/var/lib/vitald")
DEFAULT_SOCKET = Path("/run/vitald/vitald.sock")
AUTO, OFF = "auto", "off"
MAX_BYTES = 4 << 20


class Web(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `[web]`: the HTTP server. Read at start only, except the files that `config_file` names.

    `socket` is `auto`, `off` or the path of the local socket, `status_page` which clients see findings in full (`access.SETTINGS`).
    """

    listen_addresses: tuple[str, ...] = ("127.0.0.1:19100",)
    telemetry_path: str = "/metrics"
    config_file: str = ""
    socket: str = AUTO
    status_page: str = LOCAL

    def __post_init__(self) -> None:
        refuse_unless(bool(self.listen_addresses), 'listen_addresses: empty; expected at least one address, like "127.0.0.1:19100"')
        refuse_unless(self.telemetry_path.startswith("/"), 'telemetry_path: no leading "/"; expected a path like "/metrics"')
        is_known = self.socket in {AUTO, OFF} or self.socket.startswith("/")
        refuse_unless(is_known, f"socket: {self.socket!r:.80} is not absolute; expected {AUTO}, {OFF}, or a path like {DEFAULT_SOCKET}")
        expected = ", ".join(SETTINGS)
        refuse_unless(self.status_page in SETTINGS, f"status_page: {self.status_page!r:.80} is unknown; expected one of {expected}")

    @property
    def socket_path(self) -> Path | None:
        """Path of the local socket; None without one. `auto`: in the runtime directory that systemd made, if it made one."""
        if self.socket == AUTO:
            runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
            return Path(runtime, DEFAULT_SOCKET.name) if runtime.startswith("/") else None
        return None if self.socket == OFF else Path(self.socket)


class Config(msgspec.Struct, frozen=True):
    """All settings: the web section, and each collector's settings by name, disabled collectors included."""

    web: Web
    collectors: Mapping[str, Settings]


S = TypeVar("S", bound=msgspec.Struct)


@functools.cache
def root() -> type[msgspec.Struct]:
    """Return the struct of the whole file: one field per section."""
    from collectors.registry import COLLECTORS  # noqa: PLC0415 — 0.2 s of imports that a command of one section does not need

    sections = [(c.name, c.Settings, msgspec.field(default_factory=c.Settings)) for c in COLLECTORS.values()]
    return msgspec.defstruct("Root", [("web", Web, Web()), *sections], frozen=True, forbid_unknown_fields=True)


def load(path: Path | None) -> Config:
    """Read a settings file, by default `DEFAULT_FILE` if it exists. Raises `BadInput`."""
    return parse(*_text(path))


def load_section(path: Path | None, name: str, kind: type[S]) -> S:
    """Read one section and ignore the others. Raises `BadInput`."""
    text, file = _text(path)
    found = {key: value for key, value in _toml(text, file).items() if key == name}
    only = msgspec.defstruct("Only", [(name, kind, msgspec.field(default_factory=kind))], frozen=True)
    section: S = getattr(_convert(found, only, file), name)
    return section


def parse(text: str, file: str) -> Config:
    """Read settings from TOML text; `file` is the name in errors. Raises `BadInput`."""
    whole = _convert(_toml(text, file), root(), file)
    sections: dict[str, Settings] = {name: getattr(whole, name) for name in whole.__struct_fields__ if name != "web"}
    return Config(whole.web, {name: section.with_others(sections) for name, section in sections.items()})


def _text(path: Path | None) -> tuple[str, str]:
    """Read the file; return its text and its name in errors."""
    file = path or DEFAULT_FILE
    try:
        data = read_regular(file, MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise BadInput(f"{file}: {file.stat().st_size} bytes; expected at most {MAX_BYTES >> 20} MiB")
        return data.decode(), str(file)
    except FileNotFoundError:
        if path is not None:
            raise BadInput(f"{file}: no such file; expected the path of a settings file, or no --config.file") from None
        return "", str(file)
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}; expected a file that uid {os.geteuid()} can read") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{file}: line {line}: invalid UTF-8; expected TOML, which is UTF-8") from None


def _toml(text: str, file: str) -> dict[str, Any]:
    try:
        return read_toml(text)
    except BadToml as error:
        raise BadInput(f"{file}: {error}") from None


def _convert(found: Mapping[str, Any], struct: type[msgspec.Struct], file: str) -> Any:  # noqa: ANN401 — made at run time
    try:
        return msgspec.convert(found, struct, dec_hook=decode_hook)
    except msgspec.ValidationError:
        from daemon.config_errors import errors  # noqa: PLC0415 — for invalid files only

        raise BadInput(*(f"{file}: {error}" for error in errors(found, struct, keys))) from None


def keys(struct: Any) -> list[str]:  # noqa: ANN401 — a Struct's class, made at run time
    """Return the keys of a section, without what is taken from other sections."""
    return [
        field.encode_name
        for field in msgspec.structs.fields(struct)
        if not (isinstance(field.type, type) and issubclass(field.type, Derived))
    ]


def with_flags(config: Config, *, web: Mapping[str, Any], enabled: Mapping[str, bool], disable_defaults: bool) -> Config:
    """Return the settings with the flags applied."""
    collectors = {}
    for name, settings in config.collectors.items():
        is_enabled = enabled.get(name, settings.enabled and not disable_defaults)
        collectors[name] = msgspec.structs.replace(settings, enabled=is_enabled)
    return Config(msgspec.structs.replace(config.web, **web), collectors)
