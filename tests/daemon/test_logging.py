import json
import logging
import os
import socket
from collections.abc import Iterator

import pytest

from daemon import logging as logs


class Lines:
    """A pipe that a logger writes to, and the lines read from it."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def read(self) -> list[str]:
        try:
            return os.read(self.reader, 1 << 20).decode().splitlines()
        except BlockingIOError:
            return []


@pytest.fixture
def lines() -> Iterator[Lines]:
    pipe = Lines()
    yield pipe
    os.close(pipe.reader)
    os.close(pipe.writer)


def logger(handler: logs.LineHandler, style: logs.Format = "logfmt", *, under_systemd: bool = False) -> logging.Logger:
    handler.setFormatter(logs.LineFormatter(style, under_systemd=under_systemd))
    made = logging.Logger("test", logging.DEBUG)
    made.addHandler(handler)
    return made


def test_logfmt_quotes_what_would_break_a_line(lines: Lines) -> None:
    logger(logs.LineHandler(lines.writer)).warning("said %s", 'a "b"\nlevel=critical \ud800\u2028é')
    (line,) = lines.read()
    stamp, level, message = line.split(" ", 2)
    assert stamp.startswith("ts=20")
    assert stamp.endswith("Z")
    assert (level, message) == ("level=warning", r'msg="said a \"b\"\nlevel=critical \ud800\u2028\u00e9"')


def test_json_is_one_object_a_line(lines: Lines) -> None:
    logger(logs.LineHandler(lines.writer), "json").error("it's %s", "broken\n\ud800")
    (line,) = lines.read()
    assert json.loads(line)["level"] == "error"
    assert json.loads(line)["msg"] == "it's broken\n\ud800"


def test_under_systemd_a_line_starts_with_its_priority_and_has_no_time(lines: Lines) -> None:
    log = logger(logs.LineHandler(lines.writer), under_systemd=True)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        log.log(level, "level %d", level)
    assert [line.split(" ")[0] for line in lines.read()] == [
        "<7>level=debug",
        "<6>level=info",
        "<4>level=warning",
        "<3>level=error",
        "<2>level=critical",
    ]


def test_the_journal_is_identified_by_its_stream(monkeypatch: pytest.MonkeyPatch, lines: Lines) -> None:
    info = os.fstat(lines.writer)
    monkeypatch.setenv("JOURNAL_STREAM", f"{info.st_dev}:{info.st_ino}")
    assert logs._is_journal(lines.writer)
    monkeypatch.setenv("JOURNAL_STREAM", f"{info.st_dev}:{info.st_ino + 1}")
    assert not logs._is_journal(lines.writer)


def test_a_traceback_stays_on_the_line(lines: Lines) -> None:
    log = logger(logs.LineHandler(lines.writer))
    try:
        raise ValueError("no")
    except ValueError:
        log.exception("failed")
    (line,) = lines.read()
    assert r"\nValueError: no" in line


@pytest.mark.fault(51)
def test_a_repeated_error_is_one_line_a_minute_with_a_count(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FOLD_SECONDS", 3600.0)
    handler = logs.LineHandler(lines.writer)
    log = logger(handler)
    for _ in range(3000):
        log.error("disk %s is gone", "sda")
    log.error("disk %s is gone", "sdb")
    first, second = lines.read()
    assert 'msg="disk sda is gone"' in first
    assert 'msg="disk sdb is gone"' in second
    assert handler.folded == 2999
    monkeypatch.setattr(logs, "FOLD_SECONDS", 0.0)  # the minute is over
    handler.flush_counts(logs.FOLD_SECONDS)
    (count,) = lines.read()
    assert count.endswith('level=error msg="disk sda is gone" repeated=2999')
    handler.flush_counts(logs.FOLD_SECONDS)
    assert lines.read() == []


@pytest.mark.fault(51)
def test_a_line_that_differs_each_time_is_bounded_too(lines: Lines) -> None:
    handler = logs.LineHandler(lines.writer)
    log = logger(handler)
    for number in range(10_000):
        log.error("request %d failed", number)
    assert len(lines.read()) == logs.BURST
    assert len(handler._folds) <= logs.FOLD_LINES
    handler.flush_counts(0)
    assert any("repeated=" in line for line in lines.read())


@pytest.mark.fault(50)
def test_lines_for_a_full_pipe_are_dropped_and_counted(lines: Lines) -> None:
    handler = logs.LineHandler(lines.writer)
    log = logger(handler)
    handler._folds.clear()
    for number in range(200):
        log.log(logging.INFO, f"{number} " + "x" * 3000)
    assert handler.dropped > 100
    assert lines.read()
    before = handler.dropped
    log.info("the reader is back")
    assert handler.dropped == before
    assert "the reader is back" in lines.read()[-1]


@pytest.mark.fault(50)
def test_lines_for_a_full_socket_are_dropped_and_counted() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        handler = logs.LineHandler(ours.fileno())
        log = logger(handler)
        for number in range(1000):
            log.log(logging.INFO, f"{number} " + "x" * 3000)
        assert handler.dropped > 0
        theirs.close()
        log.info("nobody is there")


def test_a_line_longer_than_a_pipe_takes_at_once_is_cut(lines: Lines) -> None:
    logger(logs.LineHandler(lines.writer)).info("x" * 10_000)
    (line,) = lines.read()
    assert len(line) == logs.MAX_LINE
    assert line.endswith("...")


@pytest.mark.fault(167)
@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (OSError(24, "Too many open files"), 'error="OSError: [Errno 24] Too many open files"'),
        (MemoryError(), '"MemoryError: "'),
        (ImportError("x.so: cannot open"), '"ImportError: x.so: cannot open"'),
        (RuntimeError("can't start new thread"), '"RuntimeError: can\'t start new thread"'),
        (LookupError("unknown encoding: idna"), '"LookupError: unknown encoding: idna"'),
    ],
)
def test_an_error_of_the_host_has_no_traceback(lines: Lines, error: Exception, shown: str) -> None:
    logger(logs.LineHandler(lines.writer)).error("failed", exc_info=error)
    (line,) = lines.read()
    assert shown in line
    assert "traceback" not in line


def test_an_error_of_the_program_keeps_its_traceback(lines: Lines) -> None:
    for error in (RuntimeError("dictionary changed size"), LookupError("x"), ValueError()):
        logger(logs.LineHandler(lines.writer)).error("failed %s", error, exc_info=error)
    assert all("traceback=" in line for line in lines.read())
