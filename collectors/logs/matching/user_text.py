r"""Texts of users in kernel records. The kernel prints names that any local user chooses, with facility 0 like its own words.

Nearly all of them follow fixed text, so patterns that begin with `^` cannot match them. What is left are records that begin with one:

- with the name of a process (`comm`, at most 15 bytes of any kind): `a.out[7]: segfault at …`, `a.out (7): drop_caches: 3`, `a.out invoked
  oom-killer: …`. Format strings: arch/*/kernel/traps.c and mm/fault.c (show_signal_msg), arch/x86/kernel/{ioport,umip,signal}.c,
  kernel/{exit,signal,sched/core}.c, mm/{page_alloc,oom_kill,memfd,mremap}.c, fs/{drop_caches,locks,proc/base}.c, block/blk-core.c,
  net/socket.c;
- with the prefix of a firewall rule that logs (net/netfilter/nf_log_syslog.c), or the source of a mount(2) (fs/super.c).

A newline in such a text arrives as a space (kmsg.py, journal_entry.py): a record is one line.
"""

from __future__ import annotations

import re

COMM_BYTES = 15  # TASK_COMM_LEN - 1

_BEGINS_WITH_COMM = re.compile(
    rb".{0,15}?(?:"
    rb"\[\d{1,10}\]|/\d{1,10}: | ?\(\d{1,10}\)[ :]"  # the process ID follows
    rb"|: (?:page allocation failure|vmalloc error|attempt to access beyond end of device|\d{1,10} output lines suppressed)"
    rb"| (?:invoked oom-killer|uses? (?:obsolete|deprecated) |calls setitimer\(\)|tried to |attempted |forgot to set )"
    rb"|-\d{1,10} +(?:\[\d{3,4}\]|\( *[\d-]{1,10}\)|\d{1,4}[A-Za-z.#]{2})"  # kernel/trace/trace_output.c, by ftrace_dump() and tp_printk
    rb"| {1,15}[A-Za-z?] +(?:[0-9a-f]{8,16}|\d{1,10}|running task) +\d)",  # sched_show_task() until 5.9
    re.DOTALL,
)
_NETFILTER_LOG = re.compile(rb".{0,128}?IN=\S{0,15} OUT=\S{0,15} [^,]{0,400}\bLEN=\d{1,10} [^,]{0,600}$", re.DOTALL)
_MOUNT_SOURCE = (b": Can't open blockdev", b": Can't lookup blockdev", b": Can't mount, would change RO state")


def is_text_of_a_user(message: bytes, *, names_task: bool) -> bool:
    """Return whether a kernel record that a signature matched begins with a text that a user chose.

    `names_task`: the match has a field `task`. Such a pattern is about this very shape, and allows the name of a process and nothing else
    at its place.
    """
    if (not names_task and _BEGINS_WITH_COMM.match(message)) or message.startswith(b"[U] "):  # drivers/char/ttyprintk.c
        return True
    if b" OUT=" in message and _NETFILTER_LOG.match(message):
        return True
    return message.endswith(_MOUNT_SOURCE) and not message.startswith(b"cgroup: ")  # a cgroup's name ends its line
