"""Signature packs: log lines and their meaning, as TOML. The shipped packs are in `signatures/`, a user's in `[logs] signature_dirs`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from collectors.files import read_regular
from collectors.logs.matching.hostile_lines import SLOW, worst_case_seconds
from collectors.logs.matching.pattern import BadPattern, parse, prefilter
from collectors.model import BadInput
from collectors.settings import Duration, decode_hook, refuse_unless
from collectors.toml_reader import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SHIPPED = Path(__file__).parents[1] / "signatures"
_ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
_MAX_BYTES = 1 << 20
_MAX_FILES = 200  # packs of users
_MAX_SIGNATURES = 1000  # of users; each is checked on crafted lines at every start, and is a series
_TOO_SLOW = "takes too long on a crafted line; expected bounded repeats, as in [a-z]{1,40}, and fixed text at its beginning"

FamilyName = Literal["dhcp", "nic", "storage", "memory", "kernel", "custom"]
Severity = Literal["info", "recovery", "warning", "critical"]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Senders whose lines count. Without any: every sender, in files only.

    `kernel`: the kernel (kmsg of facility 0, the journal's kernel transport). `tags`: the program's tags in syslog files.
    `comms`, `units`: process names and units, as journald determines them (_COMM, _SYSTEMD_UNIT).
    """

    kernel: bool = False
    tags: tuple[str, ...] = ()
    comms: tuple[str, ...] = ()
    units: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        refuse_unless(not (self.kernel and (self.tags or self.comms or self.units)), "kernel: excludes tags, comms and units")

    @property
    def is_unrestricted(self) -> bool:
        """True if the pack names no sender."""
        return not (self.kernel or self.tags or self.comms or self.units)


class Escalation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rule for lines that are a fault only if they repeat: `count` of them `within` that time, without a recovery between."""

    severity: Literal["warning", "critical"]
    count: int
    within: Duration
    unless_cleared: bool = True

    def __post_init__(self) -> None:
        refuse_unless(2 <= self.count <= 100, "count: must be from 2 to 100")  # noqa: PLR2004


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """One kind of line. The pattern's named groups are its fields; `origin` is the pack's path.

    `devices`: with `disks`, lines whose field `device` is a loop, floppy, optical or RAM device are ignored. `part_of`: signatures that
    report the same event better, just before or after it: no fault of its own is open then.
    """

    id: str
    pattern: str
    family: FamilyName = "custom"
    severity: Severity = "info"
    meaning: str = ""
    remediation: str = ""
    cleared_by: tuple[str, ...] = ()
    window: Duration = Duration(3600)
    strict: bool = False  # its text is too common to count where the line names no program
    escalate: Escalation | None = None
    devices: Literal["disks", "all"] = "disks"
    part_of: tuple[str, ...] = ()
    files: tuple[str, ...] = ()  # follow these too, and count this signature in no other file
    match: tuple[str, ...] = ()
    no_match: tuple[str, ...] = ()

    source: Source = Source()  # the pack's, unless given here
    origin: str = ""

    def __post_init__(self) -> None:
        refuse_unless(
            _ID.fullmatch(self.id) is not None, f"id {self.id!r:.80} must be lower-case letters, digits, '-', '_' and '.', at most 64"
        )
        refuse_unless(all(map(str.strip, (self.pattern, *self.files))), "pattern and files must not be empty")
        refuse_unless(len(self.pattern) <= 2000, "pattern: longer than 2000 characters")  # noqa: PLR2004

    @cached_property
    def expression(self) -> re.Pattern[bytes]:
        """The compiled pattern; compiled on first use, since most are never needed."""
        return re.compile(self.pattern.encode())

    @cached_property
    def has_interface(self) -> bool:
        """True if the pattern has a field `interface`."""
        return "interface" in self.expression.groupindex

    @cached_property
    def has_disk(self) -> bool:
        """True if the pattern has a field `device`, and only disks count."""
        return self.devices == "disks" and "device" in self.expression.groupindex

    @cached_property
    def longest(self) -> int:
        """Upper bound of a match's length in bytes; larger than any line if the pattern is unbounded."""
        return int(parse(self.pattern).getwidth()[1])


class _Pack(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    signature: tuple[dict[str, Any], ...]
    source: Source = Source()


@dataclass(frozen=True)
class Packs:
    """All signatures, in a fixed order."""

    signatures: tuple[Signature, ...]
    by_id: dict[str, Signature] = field(repr=False)


def load(directories: Iterable[Path] = (), *, samples: bool = False) -> Packs:
    """Load the shipped packs and those of `directories` (`*.toml`; a missing directory counts as empty).

    `samples` keeps the sample lines, which only tests and `check-config` need. Raises `BadInput`, one line with file and id.
    """
    problems: list[str] = []
    packs = read(directories, problems, samples=samples)
    if problems:
        raise BadInput(problems[0])
    return packs


def read(directories: Iterable[Path], problems: list[str], *, samples: bool) -> Packs:
    """Load all valid packs and signatures as `load` does, and append a line to `problems` for each that is not."""
    by_id: dict[str, Signature] = {}
    left = _MAX_SIGNATURES
    for path in _files(directories, problems):
        try:
            if len(data := read_regular(path, _MAX_BYTES + 1)) > _MAX_BYTES:
                raise OSError(0, f"larger than {_MAX_BYTES >> 20} MiB")  # noqa: TRY301 — reported like the others
            pack = msgspec.convert(read_toml(data.decode()), _Pack, dec_hook=decode_hook)
        except OSError as error:
            problems.append(f"{path}: cannot be read: {error.strerror}")
        except ValueError as error:  # bad UTF-8, bad TOML, msgspec's own refusals
            missing = "has no [[signature]]; expected at least one" if "required field `signature`" in str(error) else ""
            problems.append(f"{path}: {missing or error}")
        else:
            left -= len(pack.signature) if path.parent != SHIPPED else 0
            if left < 0:
                problems.append(f"{path}: more than {_MAX_SIGNATURES} signatures in all packs of users; expected fewer")
            for number, table in enumerate(pack.signature[: min(left, 0) or None], 1):
                _add(table, f"{path}: signature {str(table.get('id', number))!r:.80}", by_id, problems, (path, pack.source, samples))
    problems += _unknown_names(by_id)
    return Packs(tuple(by_id.values()), by_id)


def _unknown_names(by_id: dict[str, Signature]) -> Iterator[str]:
    for signature in by_id.values():
        for key, names in (("cleared_by", signature.cleared_by), ("part_of", signature.part_of)):
            for unknown in (name for name in names if name not in by_id):
                yield f"{signature.origin}: signature '{signature.id}': {key} names {unknown!r:.80}, which no pack has"


def _add(table: dict[str, Any], where: str, by_id: dict[str, Signature], problems: list[str], pack: tuple[Path, Source, bool]) -> None:
    path, source, samples = pack
    fields = {"source": source, **table, "origin": str(path)}
    if not samples:
        fields |= {"match": (), "no_match": ()}
    try:
        if "origin" in table:
            raise ValueError("origin: unknown key")  # noqa: TRY301 — reported like the others
        if "mend" in table:
            raise ValueError("mend: renamed to remediation")  # noqa: TRY301 — reported like the others
        signature = msgspec.convert(fields, Signature, dec_hook=decode_hook)
        prefilter(signature.pattern)
        if path.parent != SHIPPED and worst_case_seconds(signature.pattern) >= SLOW:
            raise BadPattern(_TOO_SLOW)  # noqa: TRY301 — reported below
    except BadPattern as error:
        problems.append(f"{where}: pattern {error}")
    except ValueError as error:
        problems.append(f"{where}: {error}")
    else:
        if signature.id in by_id:
            problems.append(f"{where}: the id is taken by {by_id[signature.id].origin}; expected another")
        else:
            by_id[signature.id] = signature


def _files(directories: Iterable[Path], problems: list[str]) -> Sequence[Path]:
    shipped = sorted(SHIPPED.glob("*.toml"))
    paths: list[Path] = []
    for directory in directories:
        try:
            paths += sorted(path for path in directory.iterdir() if path.suffix == ".toml")
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(f"{directory}: cannot be read: {error.strerror}")
    if len(paths) > _MAX_FILES:
        problems.append(f"{paths[_MAX_FILES]}: more than {_MAX_FILES} packs of users; expected fewer")
    return [*shipped, *paths[:_MAX_FILES]]
