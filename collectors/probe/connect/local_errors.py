"""How a connect ended that is not simply answered: by whose word, and whether it met anybody but itself."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from collectors.probe.connect import icmp_errors as icmp
from collectors.probe.connect.outcome import Outcome, Reason, of

if TYPE_CHECKING:
    from collections.abc import Callable

_NEIGHBOUR_SILENT = {(3, 1), (1, 3)}  # (type, code): what our own stack says when ARP or ND got no answer; RFC 792, RFC 4443 3.1


def failure(sock: socket.SocketType, blocked: bool, retransmits: int, seconds: float) -> Outcome:  # noqa: FBT001
    """Say why a connect failed that had left: by RST, by ICMP, by a firewall of our own, or by meeting itself (no error at all)."""
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    said = icmp.read(sock)
    error = error or (said.error if said else errno.ECONNREFUSED)
    if blocked or (said and _our_own_word(sock, said)):
        return Outcome(Reason.PERMISSION, True, error, 0, retransmits, seconds)  # noqa: FBT003
    router = said.sender if said and said.sender != _host(sock.getpeername) else ""
    return Outcome(of(error), False, error, 0, retransmits, seconds, router)  # noqa: FBT003


def _our_own_word(sock: socket.SocketType, said: icmp.Unreachable) -> bool:
    """Tell whether our own firewall rejected the SYN: the ICMP error comes from our own address, and the target is somebody else."""
    own = said.sender == _host(sock.getsockname)
    return own and said.sender != _host(sock.getpeername) and (said.type, said.code) not in _NEIGHBOUR_SILENT


def _host(name: Callable[[], tuple[str, int]]) -> str:
    try:
        return name()[0]
    except OSError:
        return ""


def to_itself(sock: socket.SocketType) -> bool:
    """Tell whether the connect met itself: to a closed port of this very host that the kernel chose as source port too (RFC 9293 3.5).

    Only then does more than the one SYN-ACK arrive before we look, or a target was very quick to talk.
    """
    try:
        return bool(sock.getsockname() == sock.getpeername())
    except OSError:
        return False
