"""Header of a log line: time, host and program, and where the message starts. No clock, no I/O.

One file may contain several formats (an upgrade changes them, consoles mix them), so each line is parsed by itself. What is not
recognised remains part of the message: signatures are searched in it, not compared with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CLOCK = rb"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
_TIME = (
    rb"\d{4}-\d\d-\d\d[T ]" + _CLOCK + rb"(?:Z|[+-]\d\d:?\d\d)?"  # ISO 8601 and RFC 3339
    rb"|(?:[A-Z][a-z]{2} )?[^\s\d\[]{2,12} {1,3}\d{1,2} " + _CLOCK + rb"(?: \d{4})?"  # RFC 3164 and ctime(3), month in any language
    rb"|\d{1,2}[^\s\d\[]{1,6} {1,3}\d{1,2} "
    + _CLOCK  # months that are numbers, as in Korean
    + rb"|\d{9,10}\.\d{6}"  # Unix time (journalctl -o short-unix)
)
_STAMP = rb"\[ *\+?\d{1,12}\.\d{1,9}\](?: ?\[ *[TC]\d{1,10}\])?"  # seconds since boot, and CONFIG_PRINTK_CALLER
_TAG = rb"(?P<tag>[^\s:()\[\]<>{}=,\"']{1,64})(?:\([^()\s]{1,40}\))?(?P<pid>\[[^\s\]]{0,20}\])?:(?=[\s\[]|$)"

_START = re.compile(
    rb"[ \t*]{0,8}(?:<\d{1,3}>)?(?:- \d{9,10} \S{10} \S{1,64} )?(?:\S{1,45}: kern: +\w{1,10}: \[)?\[?(?P<time>"
    + _TIME
    + rb")[\]:]{0,2}(?:\s+|$)"
)
_LEVEL = re.compile(rb"\s*(?P<facility>[a-z]{2,8}[0-7]?)(?:\.| +:)[a-z]{3,7} *:?\s+")  # OpenWrt, BusyBox, dmesg -x
_LEVEL_WORD = rb"(?:EMERG|ALERT|CRIT|ERR|WARN(?:ING)?|NOTICE|INFO|DEBUG)"
_SYSLOG = re.compile(
    rb"\s*(?:" + _LEVEL_WORD + rb"\s+)?(?:(?P<host>[^\s]{0,254}[^\s:])\s+)?"
    rb"(?:(?:[a-z]{2,8}[0-7]?\.[a-z]{3,7}|" + _LEVEL_WORD + rb")\s+)?" + _TAG + rb" ?"
)
_LONE_TAG = re.compile(rb"[ *]{0,8}(?:[A-Z]{3,8} )?" + _TAG + rb" ?")
_RFC5424 = re.compile(
    rb"<\d{1,3}>1 (?P<time>\S{1,40}) (?P<host>\S{1,255}) (?P<tag>\S{1,48}) \S{1,128} \S{1,32} "
    rb"(?:-|(?:\[(?:[^\]\\]|\\.){0,1024}\]){1,20}) ?(?:\xef\xbb\xbf)?"
)
_KMSG = re.compile(rb"(?P<priority>\d{1,10}),\d{1,20},\d{1,20},[^;\s]{1,64};")
_STAMP_AND_LEVEL = _STAMP + rb"\s?(?:<[0-7]>)?"  # pstore and the crash utility write the level after the timestamp
_KERNEL_STAMP = re.compile(rb"\s*" + _STAMP_AND_LEVEL)
_ANY_STAMP = re.compile(_STAMP_AND_LEVEL)
_HOST = rb"(?:[^\s:()\[\]]{1,255} )?"
_KERNEL_TAG = re.compile(_HOST + rb"kernel: ?")  # with a host in `journalctl -o short-monotonic`, after the kernel's timestamp
_ECHO = re.compile(_HOST + rb"(?P<tag>[\w.@/-]{1,48})\[\d{1,10}\]: ")  # a program's line there, or on the console
_HOST_AND_KERNEL = re.compile(rb"[ \t]{0,8}[^\s:()\[\]]{1,255} kernel: ")
_BARE_CLOCK = re.compile(rb"[ \t]{0,8}" + _CLOCK + rb" (?=\S)")  # a time without a date is not used
_REPEATED = re.compile(rb"message repeated (?P<times>\d{1,9}) times: \[ ?(?P<message>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Header:
    """Parsed header. `program` is None where the line names none; `is_conclusive` if the line's format determines that.

    `times` is above 1 for syslog's "message repeated N times".
    """

    message: bytes
    program: str | None = None
    is_conclusive: bool = False
    time: bytes = b""
    host: str = ""
    times: int = 1


def split_header(line: bytes, known_tags: frozenset[str] = frozenset()) -> Header:
    """Split a line into header and message. A line without a time has a tag only if the tag has a PID or is one of `known_tags`."""
    if line[:1].isdigit() and (record := _KMSG.match(line)):
        kernel = int(record["priority"]) >> 3 == 0
        return Header(line[record.end() :], "kernel" if kernel else "userspace", is_conclusive=True)
    if line.startswith(b"<") and (start := _RFC5424.match(line)):
        return _finish(line[start.end() :], _text(start["tag"]), start["time"], _text(start["host"]))
    rest, time, kernel = line, b"", False
    at = 0
    while (part := _START.match(line, at) or _LEVEL.match(line, at)) is not None:  # "… daemon.info: Apr  6 11:17:58 dhcpcd[2650]: …"
        at, whole = part.end(), part[0]
        if part.re is _START:
            time = time or part["time"]
            kernel |= b"[" in whole or b": kern:" in whole  # dmesg -T, Talos
        else:
            kernel |= part["facility"] == b"kern" or b"[" in whole  # OpenWrt
    rest = line[at:]
    if kernel:
        return _kernel(_without(_KERNEL_STAMP, _without(_KERNEL_TAG, rest)), time)
    if not time:
        return _without_time(rest, known_tags)
    if (tag := _SYSLOG.match(rest)) is None:
        return Header(rest, is_conclusive=True, time=time)
    return _finish(rest[tag.end() :], _text(tag["tag"]), time, _text(tag["host"] or b""))


def _without_time(line: bytes, known_tags: frozenset[str]) -> Header:
    line = _without(_BARE_CLOCK, line)
    if kernel := _HOST_AND_KERNEL.match(line):
        return _kernel(_without(_KERNEL_STAMP, line[kernel.end() :]))
    tag = _LONE_TAG.match(line)
    if tag is not None and (tag["pid"] or tag["tag"] == b"kernel" or _text(tag["tag"]) in known_tags):
        return _finish(line[tag.end() :], _text(tag["tag"]))
    stamp = _ANY_STAMP.search(line, 0, 120)  # consoles write other text before it
    if stamp is None or b"printk messages dropped" in line[: stamp.start()]:
        return Header(line.lstrip(b" \t"))
    return _kernel(_without(_KERNEL_TAG, line[stamp.end() :]))


def _kernel(rest: bytes, time: bytes = b"") -> Header:
    """Parse what follows a kernel timestamp: a kernel message, or a program's line that was echoed to the console."""
    if echo := _ECHO.match(rest):
        return Header(rest[echo.end() :], _text(echo["tag"]), is_conclusive=True, time=time)
    return Header(rest, "kernel", is_conclusive=True, time=time)


def _finish(message: bytes, program: str, time: bytes = b"", host: str = "") -> Header:
    """Remove a kernel timestamp after the tag, and expand "message repeated N times"."""
    if program == "kernel":
        message = _without(_KERNEL_STAMP, message)
    times = 1
    if message.startswith(b"message repeated ") and (repeated := _REPEATED.match(message)):
        times, message = int(repeated["times"]), repeated["message"].rstrip().removesuffix(b"]")
    return Header(message, program, is_conclusive=True, time=time, host=host, times=times)


def _without(prefix: re.Pattern[bytes], text: bytes) -> bytes:
    """Return text without the prefix, if it has it."""
    match = prefix.match(text)
    return text[match.end() :] if match else text


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
