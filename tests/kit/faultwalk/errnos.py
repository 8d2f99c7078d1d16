"""System calls that are walked: number and the errnos that may come from outside the program.

Source: section ERRORS of each call's page in section 2 of the Linux man-pages 6.03. Left out are the errnos of a call that is wrong in
itself (EBADF, EFAULT, EINVAL, ENOTSOCK, …): no state of the host causes them. Added are ESTALE and EIO of network and failed file systems
where the page says "other errors may occur". Numbers: asm/unistd_64.h (x86-64).

Not walked: calls that cannot fail (getpid, umask, exit), those that the vDSO answers (clock_gettime), signal set-up (rt_sigaction)
and futex: its errors are EINTR and EAGAIN, which glibc handles, and the filter would slow down each handover of Python's lock.
"""

from __future__ import annotations

import errno

_PAGES = {
    "read": (0, "EINTR EIO ESTALE ENOMEM"),
    "pread64": (17, "EINTR EIO ESTALE"),
    "write": (1, "EINTR EIO ENOSPC EDQUOT EFBIG"),
    "writev": (20, "EINTR EIO ENOSPC EDQUOT"),
    "openat": (257, "EMFILE ENFILE ENOMEM EACCES EPERM EIO EINTR ENOSPC EROFS ENOENT ELOOP"),
    "newfstatat": (262, "EACCES ENOMEM ENOENT EIO ELOOP"),
    "fstat": (5, "ENOMEM EIO"),
    "statx": (332, "EACCES ENOMEM ENOENT EIO"),
    "lseek": (8, "ENXIO"),
    "readlink": (89, "EACCES EIO ENOENT ENOMEM"),
    "getdents64": (217, "ENOENT EIO ENOTDIR"),
    "fsync": (74, "EIO ENOSPC EDQUOT EROFS EINTR"),
    "fdatasync": (75, "EIO ENOSPC EDQUOT EROFS EINTR"),
    "ftruncate": (77, "EIO EINTR EPERM EFBIG"),
    "renameat": (264, "EACCES EIO ENOSPC EDQUOT EROFS ENOMEM EPERM"),
    "rename": (82, "EACCES EIO ENOSPC EDQUOT EROFS ENOMEM EPERM"),
    "unlinkat": (263, "EACCES EIO EROFS ENOMEM EPERM EBUSY"),
    "unlink": (87, "EACCES EIO EROFS ENOMEM EPERM EBUSY"),
    "mkdir": (83, "EACCES ENOSPC EROFS EDQUOT EMLINK ENOMEM"),
    "chmod": (90, "EACCES EIO EPERM EROFS ENOMEM"),
    "close": (3, "EIO ENOSPC EDQUOT"),
    "flock": (73, "EINTR ENOLCK"),
    "fcntl": (72, "EAGAIN EMFILE EACCES EPERM"),
    "ioctl": (16, "ENOTTY EPERM EOPNOTSUPP ENODEV ENOMEM"),
    "dup": (32, "EMFILE"),
    "dup2": (33, "EMFILE EBUSY EINTR"),
    "dup3": (292, "EMFILE EBUSY EINTR"),
    "pipe2": (293, "EMFILE ENFILE"),
    "eventfd2": (290, "EMFILE ENFILE ENOMEM ENODEV"),
    "timerfd_create": (283, "EMFILE ENFILE ENOMEM"),
    "epoll_create1": (291, "EMFILE ENFILE ENOMEM"),
    "epoll_ctl": (233, "ENOMEM ENOSPC"),
    "epoll_wait": (232, "EINTR"),
    "poll": (7, "EINTR ENOMEM"),
    "pselect6": (270, "EINTR ENOMEM"),
    "socket": (41, "EMFILE ENFILE ENOBUFS ENOMEM EACCES EAFNOSUPPORT EPROTONOSUPPORT"),
    "socketpair": (53, "EMFILE ENFILE ENOMEM"),
    "bind": (49, "EADDRINUSE EACCES EADDRNOTAVAIL ENOMEM ENOSPC EROFS"),
    "listen": (50, "EADDRINUSE EOPNOTSUPP"),
    "accept4": (288, "EMFILE ENFILE ENOBUFS ENOMEM ECONNABORTED EAGAIN EINTR EPERM EPROTO"),
    "connect": (42, "ECONNREFUSED ENETUNREACH ETIMEDOUT EAGAIN EACCES EADDRNOTAVAIL EINTR EHOSTUNREACH"),
    "setsockopt": (54, "ENOPROTOOPT ENOMEM ENOBUFS EPERM"),
    "getsockopt": (55, "ENOPROTOOPT ENOBUFS"),
    "getsockname": (51, "ENOBUFS"),
    "getpeername": (52, "ENOTCONN ENOBUFS"),
    "sendto": (44, "EAGAIN ECONNRESET EPIPE ENOBUFS ENOMEM EINTR ENOTCONN ECONNREFUSED"),
    "sendmsg": (46, "EAGAIN ECONNRESET EPIPE ENOBUFS ENOMEM EINTR"),
    "recvfrom": (45, "EAGAIN ECONNRESET EINTR ENOMEM ECONNREFUSED ENOBUFS"),
    "recvmsg": (47, "EAGAIN ECONNRESET EINTR ENOMEM ENOBUFS"),
    "shutdown": (48, "ENOTCONN ENOBUFS"),
    "clone3": (435, "EAGAIN ENOMEM EPERM ENOSPC"),
    "clone": (56, "EAGAIN ENOMEM EPERM ENOSPC"),
    "vfork": (58, "EAGAIN ENOMEM"),
    "execve": (59, "EACCES E2BIG EIO ENOENT ENOMEM EMFILE ETXTBSY EAGAIN"),
    "wait4": (61, "EINTR ECHILD"),
    "kill": (62, "ESRCH EPERM"),
    "mmap": (9, "ENOMEM EAGAIN ENFILE EACCES ENODEV"),
    "mremap": (25, "ENOMEM EAGAIN"),
    "mprotect": (10, "ENOMEM EACCES"),
    "munmap": (11, "ENOMEM"),
    "brk": (12, "ENOMEM"),
    "madvise": (28, "EAGAIN EIO ENOMEM"),
    "getrandom": (318, "EINTR EAGAIN"),
    "prctl": (157, "EPERM EINVAL"),
    "capset": (126, "EPERM"),
    "capget": (125, "EPERM"),
    "sched_setscheduler": (144, "EPERM"),
    "setpriority": (141, "EACCES EPERM"),
    "prlimit64": (302, "EPERM"),
    "clock_nanosleep": (230, "EINTR"),
    "statfs": (137, "EIO EACCES ENOMEM EINTR"),
    "fstatfs": (138, "EIO ENOMEM EINTR"),
    "getcwd": (79, "ENOENT EACCES ENOMEM"),
    "pidfd_open": (434, "EMFILE ENFILE ENOMEM"),
    "inotify_init1": (294, "EMFILE ENFILE ENOMEM"),
    "inotify_add_watch": (254, "ENOSPC ENOMEM EACCES"),
    "mlock": (149, "ENOMEM EPERM EAGAIN"),
}

_SOCKET = {"read": "EINTR EAGAIN ECONNRESET ENOMEM", "write": "EINTR EAGAIN EPIPE ECONNRESET", "close": ""}
_PIPE = {"read": "EINTR EAGAIN", "write": "EINTR EAGAIN EPIPE", "close": ""}
_EVENT = {"read": "EINTR EAGAIN", "write": "EINTR EAGAIN", "close": ""}

NUMBERS = {name: number for name, (number, _) in _PAGES.items()}
NAMES = {number: name for name, number in NUMBERS.items()}


def errnos(name: str, about: str) -> tuple[int, ...]:
    """Return the errnos of a call on an object, described as by `Supervisor`.

    `close` fails for regular files only: Linux releases the descriptor in any case, and a failure that is injected does not, which would be
    another fault for what has a peer.
    """
    words = _PAGES[name][1]
    if name == "newfstatat" and about.startswith("fd "):  # fstat(2)
        words = _PAGES["fstat"][1] if about.startswith(("fd /", "fd FOLDER")) else ""
    if name == "lseek" and about.startswith("FOLDER/std"):
        words = "ESPIPE"
    if name in _SOCKET:
        if about.startswith("socket"):
            words = _SOCKET[name]
        elif about.startswith(("pipe", "FOLDER/std")):
            words = _PIPE[name]
        elif about.startswith("anon_inode"):
            words = _EVENT[name]
        elif name == "close" and not about.startswith("FOLDER"):
            words = ""
    return tuple(getattr(errno, word) for word in words.split())
