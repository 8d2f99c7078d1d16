"""The real rsyslog of a drill's host, its /dev/log for who lives there, and the real logrotate."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.network import Network

# A /dev with little in it, so that /dev/log is this host's own; then what is to be run.
OWN_LOG = (
    'mount -t tmpfs none "$0/dev" && cp -a /dev/null /dev/zero /dev/urandom /dev/random "$0/dev" && '
    'ln -s "$0/log.socket" "$0/dev/log" && mount --bind "$0/dev" /dev && exec "$@"'
)
_RSYSLOG = """
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{folder}/log.socket" CreatePath="on" RateLimit.Interval="0")
template(name="traditional" type="string" string="%TIMESTAMP% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg:::drop-last-lf%\\n")
action(type="omfile" file="{folder}/syslog" template="traditional")
"""
# Debian's own way, and the one that loses lines: the copy is what copytruncate is for, and `rotate 0` keeps none.
_ROTATE = """
{folder}/syslog {{
  su root root
  rotate 4
  create
  postrotate
    kill -HUP {pid}
  endscript
}}
"""
_FORGET = "{folder}/syslog {{\n  su root root\n  rotate 0\n  copytruncate\n}}\n"


class Syslog:
    """A host's rsyslogd and its file `syslog`."""

    def __init__(self, network: Network, folder: Path) -> None:
        self._network, self._folder = network, folder
        self.file = folder / "syslog"
        self.file.touch()
        (folder / "dev").mkdir()
        (folder / "rsyslog.conf").write_text(_RSYSLOG.format(folder=folder))
        self.start()

    def start(self) -> None:
        """Start rsyslogd."""
        command = ["rsyslogd", "-n", "-iNONE", "-f", str(self._folder / "rsyslog.conf")]
        with (self._folder / "rsyslog.log").open("ab") as log:
            self._rsyslogd = self._network.start(*command, stdout=log, stderr=log)

    def inside(self, *command: str) -> tuple[str, ...]:
        """Return the command that runs another one where /dev/log is this rsyslogd's."""
        return ("unshare", "--mount", "sh", "-c", OWN_LOG, str(self._folder), *command)

    def say(self, text: str, tag: str = "app") -> None:
        """Log one line as a program does; silently nothing while rsyslogd is away, as syslog(3)."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as writer:
            try:
                writer.connect(str(self._folder / "log.socket"))
                writer.send(f"<14>{tag}[{os.getpid()}]: {text}".encode())
            except OSError:
                return

    def rotate(self) -> None:
        """Run logrotate as it runs each night."""
        self._logrotate(_ROTATE.format(folder=self._folder, pid=self._rsyslogd.pid))

    def forget(self) -> None:
        """Run logrotate with `rotate 0`: the file is emptied and nothing kept."""
        self._logrotate(_FORGET.format(folder=self._folder))

    def _logrotate(self, text: str) -> None:
        rules = self._folder / "logrotate.conf"
        rules.write_text(text)
        rules.chmod(0o644)
        subprocess.run(
            ["logrotate", "--force", "--state", str(self._folder / "logrotate.state"), str(rules)], check=True, capture_output=True
        )

    def restart(self) -> None:
        """Restart it, as an upgrade does."""
        self.close()
        self.start()

    def close(self) -> None:
        """End it."""
        self._rsyslogd.send_signal(signal.SIGTERM)
        try:
            self._rsyslogd.wait(5)
        except subprocess.TimeoutExpired:
            self._rsyslogd.kill()
            self._rsyslogd.wait()
