"""A sample of the fault walk: system calls whose failure once did harm, and some that a seed chooses. All: `make bench ONLY=faultwalk`."""

from __future__ import annotations

import errno
import random
from typing import TYPE_CHECKING

import pytest

from tests.kit.faultwalk.errnos import NUMBERS, errnos
from tests.kit.faultwalk.supervisor import Failure
from tests.kit.faultwalk.walk import Walk, count_calls, failures_of, walk

if TYPE_CHECKING:
    from pathlib import Path

RANDOM = 8
ONCE_FAILED = (  # call, thread, part of what it is about, errno, occurrence
    ("sendto", "main", "socket UNIX DGRAM", errno.ECONNREFUSED, 2),  # READY=1 was lost: systemd waits for it and kills the service
    ("sendto", "main", "socket UNIX DGRAM", errno.ECONNREFUSED, 4),
    ("mmap", "vitald-sched", "anonymous N^24", errno.ENOMEM, 1),  # no thread: tracebacks of the scheduler
    ("clone3", "main", "", errno.EAGAIN, 2),
    ("getdents64", "vitald-disk", "/yaml", errno.EIO, 1),  # an import while running
    ("openat", "unnamed thread", "/status_page/status.css", errno.EMFILE, 1),
    ("openat", "unnamed thread", "/exporters/prometheus/status_page", errno.EACCES, 1),  # no page until the next start
    ("close", "vitald-disk", "FOLDER/state/lock", errno.ENOSPC, 1),  # a clean stop ended with 1
    ("epoll_create1", "main", "", errno.EMFILE, 1),
    ("newfstatat", "vitald-disk", "FOLDER/syslog", errno.EIO, 2),  # lines were counted twice
    ("newfstatat", "vitald-disk", "FOLDER/syslog", errno.ENOENT, 2),
    ("openat", "vitald-disk", "health.json", errno.EMFILE, 1),  # the file was set aside
    ("openat", "vitald-disk", "logs.json", errno.ENOMEM, 1),
)


@pytest.mark.fault(167)
def test_no_failed_system_call_of_the_daemon_does_harm(tmp_path: Path) -> None:
    calls = count_calls("run", tmp_path)
    failures = [
        Failure(call, occurrence, error)
        for name, thread, about, error, occurrence in ONCE_FAILED
        for call in calls
        if call.name == name and call.thread == thread and about in call.about
    ]
    assert len({failure.call.name for failure in failures}) == len({name for name, *_ in ONCE_FAILED}), "a case is of no use any more"
    failures += random.Random(167).sample(failures_of(calls), RANDOM)  # noqa: S311 — the same sample each time
    result = Walk("run", calls)
    walk(result, failures, tmp_path, 120.0)
    assert not result.found
    assert result.walked > len(failures) / 2


def test_every_walked_call_has_a_number_and_an_errno() -> None:
    assert all(errnos(name, "") or name == "close" for name in NUMBERS)
