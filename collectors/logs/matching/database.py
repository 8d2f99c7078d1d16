"""Hyperscan's compiled database of all signatures: made once, kept in a file, used on whole blocks."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import hyperscan

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
_LONGEST = 120  # seconds; the shipped packs take one
REPEATED = r"last message repeated [0-9]{1,9} time"  # old syslogd's compression; it has the id after the last signature's


class Database:
    """Which lines of a block may match which signatures. Not for two threads at once: the scratch space is shared."""

    def __init__(self, serialised: bytes) -> None:
        """Take a database that `hyperscan.dumpb` wrote; raises `hyperscan.error` where it is not one for this machine."""
        self._database = hyperscan.loadb(serialised, hyperscan.HS_MODE_BLOCK)
        self._database.scratch = hyperscan.Scratch(self._database)

    def scan(self, block: bytes) -> list[tuple[int, int]]:
        """Find (end offset, number of the signature) of everything that may be a match, in no particular order."""
        found: list[tuple[int, int]] = []
        add = found.append

        def on_match(number: int, _start: int, end: int, _flags: int, _context: object) -> None:
            add((end, number))

        self._database.scan(block, match_event_handler=on_match)
        return found


def open_database(signatures: Sequence[Signature], cache: Path | None = None) -> Database:
    """Load the database from the file `cache`, or compile it and keep it there. A cache that is not good is made again.

    Raises `BadInput`, naming file and id, for a pattern hyperscan refuses.
    """
    expressions = [*(prefilter(signature.pattern) for signature in signatures), REPEATED]
    key = _key(expressions)
    if cache is not None and (kept := _load(cache, key)) is not None:
        return kept
    serialised = _compile(expressions, signatures)
    if cache is not None:
        _save(cache, key, serialised)
    return Database(serialised)


def _key(expressions: Sequence[str]) -> bytes:
    """Hash what the compiled form depends on: the patterns, hyperscan's version, the machine (hyperscan itself checks instruction sets)."""
    return hashlib.sha256(json.dumps([os.uname().machine, _VERSION, list(expressions)]).encode()).digest()


def _load(cache: Path, key: bytes) -> Database | None:
    try:
        descriptor = os.open(cache, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid not in {0, os.geteuid()} or status.st_size > _MAX_BYTES:
        os.close(descriptor)
        return None  # hyperscan trusts what it loads, so it must be ours
    with os.fdopen(descriptor, "rb") as file:
        try:
            head, check, body = file.read(len(_MAGIC) + 32), file.read(32), file.read()
            if head == _MAGIC + key and hashlib.sha256(body).digest() == check:
                return Database(body)
        except (OSError, hyperscan.error):
            pass
    return None


def _save(cache: Path, key: bytes, body: bytes) -> None:
    """Keep the database; without a cache the next start is a second slower, and no worse."""
    temporary = cache.with_name(f".{cache.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(_MAGIC + key + hashlib.sha256(body).digest() + body)
        temporary.replace(cache)
    except OSError as error:
        _log.warning("signature cache %s cannot be written: %s", cache, error.strerror)
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None


def _compile(expressions: Sequence[str], signatures: Sequence[Signature]) -> bytes:
    try:
        child = subprocess.run(
            [sys.executable, "-Im", "collectors.logs.matching.compile_database"],
            input=json.dumps(expressions).encode(),
            capture_output=True,
            check=False,
            timeout=_LONGEST,
        )
    except subprocess.TimeoutExpired:
        problem = f"signatures cannot be compiled within {_LONGEST} s: a pattern of yours is too large"
        raise BadInput(problem) from None
    except OSError as error:  # no process to be had: better a larger one than a blind one
        _log.warning("signatures are compiled in the daemon itself, which takes memory: %s", error.strerror)
        from collectors.logs.matching.compile_database import compile_database  # noqa: PLC0415 — nearly never

        try:
            return bytes(hyperscan.dumpb(compile_database(list(expressions))))
        except hyperscan.error as refusal:
            problem = f"signatures cannot be compiled: {refusal}"
            raise BadInput(problem) from None
    if child.returncode == 0:
        return child.stdout
    told = (child.stderr.decode(errors="replace").strip().splitlines() or [f"the compiler ended with {child.returncode}"])[-1]
    number, _, reason = told.partition(" ")
    if number.isdigit() and int(number) < len(signatures):
        refused = signatures[int(number)]
        problem = f"{refused.origin}: signature '{refused.id}': pattern is refused by hyperscan: {reason}"
    else:
        problem = f"signatures cannot be compiled: {told.removeprefix('-1 ')}"
    raise BadInput(problem)
