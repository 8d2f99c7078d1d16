"""`[logs]` in vitald.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec

from collectors.interfaces import DEFAULT_IGNORE, IgnoredInterfaces
from collectors.settings import Duration, Settings, refuse_unless

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class LogSettings(Settings, frozen=True, kw_only=True):
    """Sources and signature packs. `interval` bounds how late a fault expires; new lines wake the collector at once."""

    interval: Duration = Duration(5.0)
    kmsg: str = "auto"
    journal: Literal["auto", "on", "off"] = "auto"
    files: tuple[str, ...] = ("/var/log/syslog", "/var/log/messages")
    signature_dirs: tuple[str, ...] = ("/etc/vitald/signatures.d",)
    ignored_interfaces: IgnoredInterfaces = IgnoredInterfaces()  # of [nic] ignore and [dhcp] ignore; no key of this section

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if self.kmsg not in {"auto", "off"}:
            _validate_paths("kmsg", (self.kmsg,), '"auto", "off" or an absolute path')
        _validate_paths("files", self.files)
        _validate_paths("signature_dirs", self.signature_dirs)

    def with_others(self, sections: Mapping[str, Any]) -> Self:
        """Return these settings with `[nic] ignore` and `[dhcp] ignore`."""
        nic, dhcp = (getattr(sections.get(name), "ignore", DEFAULT_IGNORE) for name in ("nic", "dhcp"))
        return msgspec.structs.replace(self, ignored_interfaces=IgnoredInterfaces(nic, dhcp))


def _validate_paths(key: str, paths: Iterable[str], expected: str = "an absolute path") -> None:
    for path in paths:
        refuse_unless(path.startswith("/") and "\0" not in path, f"{key}: {path!r:.80} is invalid; expected {expected}")
