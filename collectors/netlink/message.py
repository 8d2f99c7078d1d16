"""Netlink framing: struct nlmsghdr and its attributes (include/uapi/linux/netlink.h; RFC 3549, 2.2)."""

from __future__ import annotations

import errno
import itertools
import os
import socket
import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x1, 0x300, 0x10
RECEIVE_BYTES = 1 << 18  # the kernel fills at most 32 KiB of a dump at a time, and no event is larger than a page

_NLMSGHDR = struct.Struct("=IHHII")  # nlmsg_len, nlmsg_type, nlmsg_flags, nlmsg_seq, nlmsg_pid
_NLATTR = struct.Struct("=HH")  # nla_len, nla_type
_NLA_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
HEADER_BYTES = _NLMSGHDR.size
_SECONDS = 10.0  # of one answer
_sequences = itertools.count(time.monotonic_ns())  # nlmsg_seq: not guessed by who sends beside the kernel


class DumpInterrupted(OSError):  # noqa: N818 — a request to dump again
    """The table changed during the dump (NLM_F_DUMP_INTR): what was read is inconsistent."""


def messages(datagram: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Split a datagram into (nlmsg_type, nlmsg_flags, payload); what follows a broken length is dropped."""
    return ((nlmsg_type, flags, payload) for nlmsg_type, flags, _, payload in _split(datagram))


def _split(datagram: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Split a datagram into (nlmsg_type, nlmsg_flags, nlmsg_seq, payload)."""
    offset = 0
    while offset + HEADER_BYTES <= len(datagram):
        length, nlmsg_type, flags, sequence, _ = _NLMSGHDR.unpack_from(datagram, offset)
        if length < HEADER_BYTES or offset + length > len(datagram):
            return
        yield nlmsg_type, flags, sequence, datagram[offset + HEADER_BYTES : offset + length]
        offset += (length + 3) & ~3


def attributes(payload: bytes, offset: int = 0) -> dict[int, bytes]:
    """Parse the attributes that begin at `offset` of a payload: nla_type → value; a broken length ends them."""
    found = {}
    while offset + _NLATTR.size <= len(payload):
        length, nla_type = _NLATTR.unpack_from(payload, offset)
        if length < _NLATTR.size or offset + length > len(payload):
            break
        found[nla_type & _NLA_TYPE_MASK] = payload[offset + _NLATTR.size : offset + length]
        offset += (length + 3) & ~3
    return found


def pack_attribute(nla_type: int, value: bytes) -> bytes:
    """Pack one attribute, padded to four bytes."""
    return _NLATTR.pack(_NLATTR.size + len(value), nla_type) + value + bytes(-len(value) % 4)


def connect_to_kernel(sock: socket.socket) -> None:
    """Make the kernel refuse what other processes send to this socket alone (netlink_getsockbyportid()); groups remain open to them."""
    sock.connect((0, 0))


def receive(sock: socket.socket) -> bytes | None:
    """Read one datagram; None where another process sent it. Raises OSError, EMSGSIZE where it did not fit.

    Any process with CAP_NET_ADMIN over this network namespace, also one in a container, may send to any port: only what has the port
    ID 0 is the kernel's (netlink(7)).
    """
    datagram, _, flags, sender = sock.recvmsg(RECEIVE_BYTES)
    if sender[0] != 0:
        return None
    if flags & socket.MSG_TRUNC:
        raise OSError(errno.EMSGSIZE, "a netlink message was truncated")
    return datagram


def request(sock: socket.socket, nlmsg_type: int, flags: int, payload: bytes, seconds: float = _SECONDS) -> Iterator[bytes]:
    """Send one request to the kernel and yield the payload of each message of its answer: all of a dump, else the first.

    Only the kernel's messages with this request's sequence number are read. Raises OSError with the kernel's own errno, DumpInterrupted,
    or a time-out: the socket's, or after `seconds`, which other senders cannot prolong.
    """
    sequence, deadline = next(_sequences) & 0xFFFFFFFF, time.monotonic() + seconds
    sock.sendto(_NLMSGHDR.pack(HEADER_BYTES + len(payload), nlmsg_type, flags | NLM_F_REQUEST, sequence, 0) + payload, (0, 0))
    while True:
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, "no whole answer from the kernel")
        for answer_type, answer_flags, answer_to, answer in _split(receive(sock) or b""):
            if answer_to != sequence:
                continue
            if answer_flags & NLM_F_DUMP_INTR:
                raise DumpInterrupted(errno.EINTR, "the table changed during the dump")
            if answer_type in {NLMSG_DONE, NLMSG_ERROR}:
                if code := _error(answer, required=answer_type == NLMSG_ERROR):
                    raise OSError(code, os.strerror(code))
                return
            yield answer
            if not flags & NLM_F_DUMP:
                return


def _error(answer: bytes, *, required: bool) -> int:
    """Return the errno of struct nlmsgerr, or of the end of a dump; 0 for none."""
    if len(answer) < 4:  # noqa: PLR2004
        return errno.EBADMSG if required else 0
    return abs(min(0, int(struct.unpack_from("=i", answer)[0])))
