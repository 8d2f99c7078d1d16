# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers as JSON lines, and the parsing of ICMP errors."""

from __future__ import annotations

import json
import sys
from typing import Any

from scapy.layers.inet import ICMP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded


def parse_icmp(packet: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return kind and details of an ICMP error: RFC 792, RFC 1191 section 4, RFC 4443."""
    if ICMP in packet:
        icmp = packet[ICMP]
        if icmp.type == 11:  # noqa: PLR2004
            return {"kind": "expired"}
        too_big = icmp.code == 4  # noqa: PLR2004
        return {"kind": "too_big", "mtu": icmp.nexthopmtu} if too_big else {"kind": "unreachable", "code": icmp.code}
    if ICMPv6PacketTooBig in packet:
        return {"kind": "too_big", "mtu": packet[ICMPv6PacketTooBig].mtu}
    return {"kind": "expired"} if ICMPv6TimeExceeded in packet else {"kind": "unreachable", "code": packet[ICMPv6DestUnreach].code}


def write_answer(order: dict[str, Any], kind: str, **facts: Any) -> None:  # noqa: ANN401
    """Write the answer to an order."""
    blank = {"sender": "", "rtt": 0, "mss": 0, "mtu": 0, "hops": 0, "code": 0, "tries": 0, "error": 0}
    write({"id": order["id"], "kind": kind, **blank, **facts})


def write(message: dict[str, Any]) -> None:
    """Write one message as a line."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
