"""Who may come in, and how: the web configuration in force. It follows its files, and no edit ever opens the door."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.model import BadInput
from exporters.prometheus.web_config import config as webconfig
from exporters.prometheus.web_config import tls
from exporters.prometheus.web_config.auth import Users
from exporters.prometheus.web_config.file import changed, refused

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from exporters.prometheus.web_config.config import WebConfig

_log = logging.getLogger(__name__)
_LOOK_EVERY = 1.0  # seconds
_RACY = 2.0  # seconds; a file written that recently may be written again without a new timestamp (git's racy entries)


@dataclass(frozen=True)
class Access:
    """One state of the door: TLS context, users and extra response headers; all empty for plain HTTP."""

    context: ssl.SSLContext | None = None
    users: Users | None = None
    headers: tuple[tuple[str, str], ...] = ()
    allowed_sans: tuple[str, ...] = ()


def access(config: WebConfig) -> Access:
    """Make what the server needs of a configuration; BadInput for what OpenSSL refuses."""
    context = tls.context(config, config.tls) if config.tls else None
    sans = config.tls.settings.client_allowed_sans if config.tls else ()
    return Access(context, Users(config.users) if config.users else None, config.headers, sans)


def check_web_config(path: Path) -> None:
    """Read a web config file as `run` would; BadInput for the first thing that is wrong with it."""
    access(webconfig.read(path))


class Door:
    """The access in force. Without a file it is plain HTTP for ever; used by the server's thread only."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked = clock()
        self._refused = ""
        self.reloaded_at = time.time()
        self.access = Access()
        if path is not None:
            self._take(webconfig.read(path))

    @property
    def in_force(self) -> bool:
        """Whether what the file says now is what is in force."""
        return not self._refused

    def look(self) -> bool:
        """Look whether a file has changed, at most once a second; True where another access is in force from now on."""
        now = self._clock()
        if self._path is None or now - self._looked < _LOOK_EVERY:
            return False
        self._looked = now
        if not self._refused and not self._racy and not changed(self._config.stamps):
            return False
        try:
            return self._reload(webconfig.read(self._path))
        except (BadInput, OSError) as error:  # OSError: no descriptors left, say
            if str(error) != self._refused:
                _log.error("%s; the web configuration stays as it was", error)
            self._refused = str(error)
            return False

    def _reload(self, config: WebConfig) -> bool:
        same = _content(config) == _content(self._config)
        if same and not self._refused:
            self._keep(config)
            return False
        _refuse_to_open(self._config, config)
        if same:
            self._keep(config)
        else:
            self._take(config)
        self._refused = ""
        self.reloaded_at = time.time()
        _log.info("web configuration read again from %s", self._path)
        return not same

    def _take(self, config: WebConfig) -> None:
        self.access = access(config)
        self._keep(config)

    def _keep(self, config: WebConfig) -> None:
        self._config = config
        newest = max(stamp.mtime_ns for _, stamp in config.stamps)
        self._racy = time.time() - newest / 1e9 < _RACY


def _content(config: WebConfig) -> tuple[object, ...]:
    return config.tls, config.users, config.headers


def _refuse_to_open(old: WebConfig, new: WebConfig) -> None:
    """Raise where the new configuration lets in who the old one kept out, other than by another user, CA or name."""
    restart = "restart vitald if that is meant"
    if old.users and not new.users:
        raise refused(new.path, "basic_auth_users", f"gone, which would let everyone in; {restart}")
    if old.tls is None:
        return
    if new.tls is None:
        raise refused(new.path, "tls_server_config", f"gone, which would send everything in the clear; {restart}")
    was, now = old.tls.settings, new.tls.settings
    if webconfig.CLIENT_AUTH.index(now.client_auth_type) < webconfig.CLIENT_AUTH.index(was.client_auth_type):
        raise refused(new.path, "tls_server_config.client_auth_type", f"weaker than before; {restart}")
    if was.client_allowed_sans and not now.client_allowed_sans:
        raise refused(new.path, "tls_server_config.client_allowed_sans", f"gone, which would let in every client of the CA; {restart}")
    if old.tls.client_ca and not new.tls.client_ca:
        raise refused(new.path, "tls_server_config.client_ca", f"gone, which would let in the host's own CAs' clients; {restart}")
