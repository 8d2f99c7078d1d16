"""Netlink framing: struct nlmsghdr and its attributes (include/uapi/linux/netlink.h; RFC 3549, 2.2)."""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x1, 0x300, 0x10
RECEIVE_BYTES = 1 << 18  # the kernel fills at most 32 KiB of a dump at a time, and no event is larger than a page

_NLMSGHDR = struct.Struct("=IHHII")  # nlmsg_len, nlmsg_type, nlmsg_flags, nlmsg_seq, nlmsg_pid
_NLATTR = struct.Struct("=HH")  # nla_len, nla_type
_NLA_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
HEADER_BYTES = _NLMSGHDR.size


class DumpInterrupted(OSError):  # noqa: N818 — a request to dump again
    """The table changed during the dump (NLM_F_DUMP_INTR): what was read is inconsistent."""


def messages(datagram: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Split a datagram into (nlmsg_type, nlmsg_flags, payload); what follows a broken length is dropped."""
    offset = 0
    while offset + HEADER_BYTES <= len(datagram):
        length, nlmsg_type, flags, _, _ = _NLMSGHDR.unpack_from(datagram, offset)
        if length < HEADER_BYTES or offset + length > len(datagram):
            return
        yield nlmsg_type, flags, datagram[offset + HEADER_BYTES : offset + length]
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


def request(sock: socket.socket, nlmsg_type: int, flags: int, payload: bytes) -> Iterator[bytes]:
    """Send one request to the kernel and yield the payload of each message of its answer: all of a dump, else the first.

    Only datagrams of the kernel (nl_pid 0) are read: any process may send to this socket. Raises OSError with the kernel's own errno,
    DumpInterrupted, or the socket's time-out.
    """
    sock.sendto(_NLMSGHDR.pack(HEADER_BYTES + len(payload), nlmsg_type, flags | NLM_F_REQUEST, 1, 0) + payload, (0, 0))
    while True:
        datagram, sender = sock.recvfrom(RECEIVE_BYTES)
        if sender[0] != 0:
            continue
        for answer_type, answer_flags, answer in messages(datagram):
            if answer_flags & NLM_F_DUMP_INTR:
                raise DumpInterrupted(errno.EINTR, "the table changed during the dump")
            if answer_type == NLMSG_DONE:
                return
            if answer_type == NLMSG_ERROR:
                code = -int(struct.unpack_from("=i", answer)[0]) if len(answer) >= 4 else errno.EBADMSG  # noqa: PLR2004 — struct nlmsgerr
                raise OSError(code, os.strerror(code))
            yield answer
            if not flags & NLM_F_DUMP:
                return
