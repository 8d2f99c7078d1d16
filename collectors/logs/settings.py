"""`[logs]` in vitald.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from collectors.settings import Duration, Settings, refuse_unless

if TYPE_CHECKING:
    from collections.abc import Iterable


class LogSettings(Settings, frozen=True, kw_only=True):
    """Where to listen. `every` bounds how late a fault ends by its age; new lines are seen at once."""

    interval: Duration = Duration(5.0)
    kmsg: str = "auto"
    journal: Literal["auto", "on", "off"] = "auto"
    files: tuple[str, ...] = ("/var/log/syslog", "/var/log/messages")
    signature_dirs: tuple[str, ...] = ("/etc/vitald/signatures.d",)

    def __post_init__(self) -> None:
        """Refuse what cannot work; the message begins with the key."""
        Settings.__post_init__(self)
        right = self.kmsg in {"auto", "off"} or self.kmsg.startswith("/")
        refuse_unless(right, f'kmsg: must be "auto", "off" or an absolute path, not {self.kmsg!r:.80}')
        _refuse_bad_paths("kmsg", (self.kmsg,))
        _refuse_bad_paths("files", self.files)
        _refuse_bad_paths("signature_dirs", self.signature_dirs)


def _refuse_bad_paths(key: str, paths: Iterable[str]) -> None:
    for path in paths:
        refuse_unless(path.startswith("/") or key == "kmsg", f"{key}: {path!r:.80} must be an absolute path")
        refuse_unless("\0" not in path, f"{key}: {path!r:.80} has a NUL in it")
