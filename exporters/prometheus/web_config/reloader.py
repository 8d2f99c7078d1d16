"""Web config reload. Rejects a reload that would weaken authentication."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from collectors.disk import DiskHangs, DiskTask
from collectors.files import stamp
from collectors.model import BadInput
from exporters.prometheus.web_config.auth import Users
from exporters.prometheus.web_config.config import CLIENT_AUTH, read_web_config
from exporters.prometheus.web_config.file import invalid
from exporters.prometheus.web_config.tls import make_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from exporters.prometheus.web_config.config import WebConfig

_log = logging.getLogger(__name__)
_CHECK_SECONDS = 1.0
_START_SECONDS = 5.0  # that a start waits for the file
_READ_SECONDS = 0.25  # that the server waits for a reload, at most once: a file that hangs later costs nothing
_RACY_SECONDS = 2.0  # a file written that recently may be written again without a new timestamp (git's racy entries)


@dataclass(frozen=True)
class ServerPolicy:
    """TLS context, users and extra response headers of one web config; all empty for plain HTTP."""

    context: ssl.SSLContext | None = None
    users: Users | None = None
    headers: tuple[tuple[str, str], ...] = ()
    allowed_sans: tuple[str, ...] = ()


def make_policy(config: WebConfig) -> ServerPolicy:
    """Return the policy of a web config; BadInput if OpenSSL rejects it."""
    context = make_context(config.path, config.tls) if config.tls else None
    sans = config.tls.settings.client_allowed_sans if config.tls else ()
    return ServerPolicy(context, Users(config.users) if config.users else None, config.headers, sans)


def check_web_config(path: Path) -> None:
    """Read a web config file as `run` would; BadInput for its first error."""
    make_policy(read_web_config(path))


class WebConfigReloader:
    """The policy in force. Without a file it is plain HTTP for ever; used by the server's thread only."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._checked_at = clock()
        self._error = ""
        self.reloaded_at = time.time()
        self.policy = ServerPolicy()
        if path is not None:
            self._path_task: DiskTask[WebConfig | None] = DiskTask(str(path))
            try:
                config = self._path_task.run(partial(read_web_config, path), _START_SECONDS)
            except DiskHangs as error:  # without it it is not known whom to admit
                raise invalid(path, "", f"{error}; expected a file that can be read") from None
            assert config is not None  # noqa: S101 — for mypy
            self._apply(config)

    @property
    def last_reload_successful(self) -> bool:
        """True if the policy in force is that of the files as they are now."""
        return not self._error

    def reload_if_changed(self) -> bool:
        """Check the files for a change, at most once a second; return True if another policy is in force from now on."""
        now = self._clock()
        if self._path is None or now - self._checked_at < _CHECK_SECONDS:
            return False
        self._checked_at = now
        try:
            config = self._path_task.run(partial(self._read_if_changed, self._path), _READ_SECONDS)
            return config is not None and self._reload(config)
        except DiskHangs:
            return False  # the policy in force stays; the daemon reports the hanging file
        except (BadInput, OSError) as error:  # OSError: such as no descriptors left
            if str(error) != self._error:
                _log.error('web config reload failed, keeping the previous web config error="%s"', error)
            self._error = str(error)
            return False

    def _read_if_changed(self, path: Path) -> WebConfig | None:
        """Read the web config unless its files are those in force. Called in a disk thread."""
        if not self._error and not self._racy and all(stamp(file) == was for file, was in self._config.stamps):
            return None
        return read_web_config(path)

    def _reload(self, config: WebConfig) -> bool:
        same = _content(config) == _content(self._config)
        if same and not self._error:
            self._keep(config)
            return False
        _reject_weaker(self._config, config)
        if same:
            self._keep(config)
        else:
            self._apply(config)
        self._error = ""
        self.reloaded_at = time.time()
        _log.info("web config reloaded file=%s", self._path)
        return not same

    def _apply(self, config: WebConfig) -> None:
        self.policy = make_policy(config)
        self._keep(config)

    def _keep(self, config: WebConfig) -> None:
        self._config = config
        newest = max(read.mtime_ns for _, read in config.stamps)
        self._racy = time.time() - newest / 1e9 < _RACY_SECONDS


def _content(config: WebConfig) -> tuple[object, ...]:
    return config.tls, config.users, config.headers


def _reject_weaker(old: WebConfig, new: WebConfig) -> None:
    """Raise BadInput if the new web config admits clients that the old one rejects, other than by another user, CA or name."""
    restart = "(restart vitald if that is intended)"
    if old.users and not new.users:
        raise invalid(new.path, "basic_auth_users", f"removed, which would admit every client; expected at least one user {restart}")
    if old.tls is None:
        return
    if new.tls is None:
        raise invalid(new.path, "tls_server_config", f"removed, which would turn TLS off; expected a certificate and its key {restart}")
    was, now = old.tls.settings, new.tls.settings
    if CLIENT_AUTH.index(now.client_auth_type) < CLIENT_AUTH.index(was.client_auth_type):
        raise invalid(new.path, "tls_server_config.client_auth_type", f"weaker; expected {was.client_auth_type} {restart}")
    if was.client_allowed_sans and not now.client_allowed_sans:
        raise invalid(new.path, "tls_server_config.client_allowed_sans", f"removed, admits all clients of the CA; expected names {restart}")
    if old.tls.client_ca and not new.tls.client_ca:
        raise invalid(new.path, "tls_server_config.client_ca", f"removed, trusts the host's own CAs; expected a CA {restart}")
