"""Hyperscan database of all signatures: compiled once, cached in a file, matched on whole blocks."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import stat
import threading
from functools import partial
from typing import TYPE_CHECKING

import hyperscan

from collectors.disk import DiskHangs, DiskTask
from collectors.helper_process import HelperFailed, HelperNotStarted, HelperProcess, module_command
from collectors.logs.matching.compile_database import COMPILED
from collectors.logs.matching.pattern import prefilter
from collectors.model import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from collectors.logs.matching.packs import Signature

_log = logging.getLogger(__name__)
_MAGIC = b"vitald-signatures-1\n"
_MAX_BYTES = 64 << 20
_VERSION: str = hyperscan.__version__  # type: ignore[attr-defined]  # its stubs leave it out; importlib.metadata's takes 12 ms
_CACHE_SECONDS = 3.0  # that a start waits for the cache file
_COMPILE_SECONDS = 120.0  # the shipped packs take one
REPEATED = r"last message repeated [0-9]{1,9} time"  # sysklogd's compression of repeats; its id is that after the last signature's


class Database:
    """Finds the lines of a block that may match, and the signatures. Thread-safe: the scratch space has a lock."""

    def __init__(self, serialised: bytes) -> None:
        """Load a database that `hyperscan.dumpb` wrote. Raises `hyperscan.error` if it is none for this machine."""
        self._lock = threading.Lock()
        self._database = hyperscan.loadb(serialised, hyperscan.HS_MODE_BLOCK)
        self._database.scratch = hyperscan.Scratch(self._database)

    def scan(self, block: bytes) -> list[tuple[int, int]]:
        """Return (end offset, number of the signature) of all candidates, unordered."""
        candidates: list[tuple[int, int]] = []
        add = candidates.append

        def on_match(number: int, _start: int, end: int, _flags: int, _context: object) -> None:
            add((end, number))

        with self._lock:
            self._database.scan(block, match_event_handler=on_match)
        return candidates


def open_database(signatures: Sequence[Signature], cache: Path | None = None) -> Database:
    """Load the database from the file `cache`, or compile it and write it there; an invalid or outdated file is replaced.

    Raises `BadInput`, with file and id, for a pattern that hyperscan refuses.
    """
    expressions = [*(prefilter(signature.pattern) for signature in signatures), REPEATED]
    key = _key(expressions)
    task: DiskTask[Database | None] = DiskTask(str(cache))
    try:
        cached = task.run(partial(_load, cache, key), _CACHE_SECONDS) if cache is not None else None
    except DiskHangs:
        cached = cache = None
    if cached is not None:
        return cached
    serialised = _compile(expressions, signatures)
    if cache is not None:
        with contextlib.suppress(DiskHangs):
            task.run(partial(_save, cache, key, serialised), _CACHE_SECONDS)
    return Database(serialised)


def _key(expressions: Sequence[str]) -> bytes:
    """Return the hash of all that the database depends on; instruction sets are checked by hyperscan itself."""
    return hashlib.sha256(json.dumps([os.uname().machine, _VERSION, list(expressions)]).encode()).digest()


def _load(cache: Path, key: bytes) -> Database | None:
    try:
        descriptor = os.open(cache, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid not in {0, os.geteuid()} or status.st_size > _MAX_BYTES:
        os.close(descriptor)
        return None  # hyperscan does not validate what it loads, so only root or we may have written it
    with os.fdopen(descriptor, "rb") as file:
        try:
            head, check, body = file.read(len(_MAGIC) + 32), file.read(32), file.read()
            if head == _MAGIC + key and hashlib.sha256(body).digest() == check:
                return Database(body)
        except (OSError, hyperscan.error):
            pass
    return None


def _save(cache: Path, key: bytes, body: bytes) -> Database | None:
    """Write the cache file; failures are logged only, since the next start is just a second slower."""
    temporary = cache.with_name(f".{cache.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(_MAGIC + key + hashlib.sha256(body).digest() + body)
        temporary.replace(cache)
    except OSError as error:
        _log.warning('signature cache not written file=%s error="%s"', cache, error.strerror)
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None
    return None


def _compile(expressions: Sequence[str], signatures: Sequence[Signature]) -> bytes:
    helper = HelperProcess(module_command("collectors.logs.matching.compile_database"))
    question = json.dumps(expressions).encode()
    try:
        answer = helper.ask(question=question, seconds=_COMPILE_SECONDS, max_answer=_MAX_BYTES)
    except HelperNotStarted as error:
        _log.warning('signature compiler not started, compiling in the daemon, which takes memory error="%s"', error)
        from collectors.logs.matching.compile_database import compile_database  # noqa: PLC0415 — nearly never

        try:
            return bytes(hyperscan.dumpb(compile_database(list(expressions))))
        except hyperscan.error as refusal:
            raise BadInput(f"signatures cannot be compiled: {refusal}") from None
    except HelperFailed as error:
        raise BadInput(f"signatures cannot be compiled: the compiler {error}") from None
    if answer.startswith(COMPILED):
        return answer[len(COMPILED) :]
    number, _, reason = answer.decode(errors="replace").partition(" ")
    if number.isdigit() and int(number) < len(signatures):
        refused = signatures[int(number)]
        raise BadInput(f"{refused.origin}: signature '{refused.id}': pattern is refused by hyperscan: {reason}")
    raise BadInput(f"signatures cannot be compiled: {reason}")
