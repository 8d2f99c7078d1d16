"""System calls of a process, its threads and its children, handed to a supervisor (seccomp(2), seccomp_unotify(2)).

The supervisor lets a call continue or makes it fail with an errno, without executing it, as `strace --inject=CALL:error=ERRNO` does.
Structures and numbers: linux/seccomp.h, linux/filter.h; x86-64.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct

_SECCOMP, _PIDFD_OPEN, _PIDFD_GETFD = 317, 434, 438  # asm/unistd_64.h
_SET_MODE_FILTER, _NEW_LISTENER = 1, 1 << 3
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_USER_NOTIF, _ALLOW = 0x7FC00000, 0x7FFF0000
_LD_NR, _JEQ, _RET = 0x20, 0x15, 0x06
_NOTIF_RECV, _NOTIF_SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV (80 bytes), _SEND (24 bytes)
_NOTIF = struct.Struct("=QIIiIQ6Q")  # id pid flags | nr arch instruction_pointer args[6]
_CONTINUE = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install(numbers: list[int]) -> int:
    """Hand the calls of these numbers to a listener from now on; return its descriptor, which the supervisor takes with `listener()`."""
    count = len(numbers)
    code = [struct.pack("=HBBI", _LD_NR, 0, 0, 0)]
    code += [struct.pack("=HBBI", _JEQ, count - at, 0, number) for at, number in enumerate(numbers)]
    code += [struct.pack("=HBBI", _RET, 0, 0, _ALLOW), struct.pack("=HBBI", _RET, 0, 0, _USER_NOTIF)]
    program = _Program(len(code), b"".join(code))
    _libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)
    if os.geteuid():
        _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return _checked(_libc.syscall(_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER, ctypes.byref(program)))


def listener(pid: int, fd: int) -> int:
    """Return a descriptor of this process for `fd` of another (pidfd_getfd(2)). Raises OSError."""
    pidfd = os.pidfd_open(pid)
    try:
        return _checked(_libc.syscall(_PIDFD_GETFD, pidfd, fd, 0))
    finally:
        os.close(pidfd)


def receive(fd: int) -> tuple[int, int, int, tuple[int, ...]]:
    """Return id, thread id, number and arguments of the next call. Raises OSError (ENOENT: its thread is gone)."""
    data = bytearray(_NOTIF.size)
    fcntl.ioctl(fd, _NOTIF_RECV, data)
    fields = _NOTIF.unpack(data)
    return fields[0], fields[1], fields[3], fields[6:]


def answer(fd: int, call: int, error: int = 0) -> bool:
    """Continue a call, or make it fail with `error`; False if it is gone, by a signal."""
    data = bytearray(struct.pack("=QqiI", call, 0, -error, 0 if error else _CONTINUE))
    try:
        fcntl.ioctl(fd, _NOTIF_SEND, data)
    except OSError as problem:
        if problem.errno == errno.ENOENT:
            return False
        raise
    return True


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
