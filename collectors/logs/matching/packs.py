"""Signature packs: what a log line means, as data. The shipped ones lie in `signatures/`, a user's own where settings say."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from collectors.logs.matching.hostile_lines import SLOW, slowest
from collectors.logs.matching.pattern import BadPattern, parse, prefilter
from collectors.model import BadInput
from collectors.settings import Duration, decode_hook, refuse_unless

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SHIPPED = Path(__file__).parents[1] / "signatures"
_ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
_MAX_BYTES = 4 << 20

FamilyName = Literal["dhcp", "nic", "storage", "memory", "kernel", "custom"]
Severity = Literal["info", "recovery", "warning", "critical"]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who may say a pack's lines. An empty one: any program, in files.

    `kernel`: the kernel itself (kmsg of facility 0, the journal's kernel transport). `tags`: the program as syslog files spell it.
    `comms`, `units`: the process name and the unit as the journal knows them for sure.
    """

    kernel: bool = False
    tags: tuple[str, ...] = ()
    comms: tuple[str, ...] = ()
    units: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        refuse_unless(not (self.kernel and (self.tags or self.comms or self.units)), "a pack is the kernel's or a program's, not both")

    @property
    def is_unrestricted(self) -> bool:
        """Say whether the pack names nobody."""
        return not (self.kernel or self.tags or self.comms or self.units)


class Escalation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Lines that are harmless once and a fault when they repeat: `count` of them `within` that time, no recovery between."""

    severity: Literal["warning", "critical"]
    count: int
    within: Duration
    unless_cleared: bool = True

    def __post_init__(self) -> None:
        refuse_unless(2 <= self.count <= 100, "count: must be from 2 to 100")  # noqa: PLR2004


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """One kind of line. The pattern's named groups are its fields; `origin` is the file it came from."""

    id: str
    pattern: str
    family: FamilyName = "custom"
    severity: Severity = "info"
    meaning: str = ""
    remediation: str = ""
    cleared_by: tuple[str, ...] = ()
    window: Duration = Duration(3600)
    strict: bool = False  # its text is too plain to be believed where the program is unknown
    escalate: Escalation | None = None
    files: tuple[str, ...] = ()  # read these as well, and count this signature in them alone
    match: tuple[str, ...] = ()
    no_match: tuple[str, ...] = ()

    source: Source = Source()  # the pack's, unless written here
    origin: str = ""

    def __post_init__(self) -> None:
        refuse_unless(
            _ID.fullmatch(self.id) is not None, f"id {self.id!r:.80} must be lower-case letters, digits, '-', '_' and '.', at most 64"
        )
        refuse_unless(all(map(str.strip, (self.pattern, *self.files))), "pattern and files must not be empty")
        refuse_unless(len(self.pattern) <= 2000, "pattern: longer than 2000 characters")  # noqa: PLR2004

    @cached_property
    def expression(self) -> re.Pattern[bytes]:
        """The pattern itself, compiled when the first line asks for it: most never do."""
        return re.compile(self.pattern.encode())

    @cached_property
    def longest(self) -> int:
        """How many bytes a match has at the most; a number beyond any line's where the pattern sets no bound."""
        return int(parse(self.pattern).getwidth()[1])


class _Pack(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    signature: tuple[dict[str, Any], ...]
    source: Source = Source()


@dataclass(frozen=True)
class Packs:
    """All signatures, in a fixed order, and what their texts hash to."""

    signatures: tuple[Signature, ...]
    digest: str
    by_id: dict[str, Signature] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {signature.id: signature for signature in self.signatures})


def load(directories: Iterable[Path] = (), *, samples: bool = False) -> Packs:
    """Read the shipped packs and those of `directories` (`*.toml`; a directory that is missing is an empty one).

    `samples` keeps the sample lines, which only tests and `check-config` need. Raises `BadInput`, one line that names file and id.
    """
    problems: list[str] = []
    packs = read(directories, problems, samples=samples)
    if problems:
        raise BadInput(problems[0])
    return packs


def read(directories: Iterable[Path], problems: list[str], *, samples: bool) -> Packs:
    """Read what can be read, as `load` does, and add to `problems` a line for each thing that is wrong."""
    seen: dict[str, Signature] = {}
    digest = hashlib.sha256()
    for path in _files(directories, problems):
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise OSError(0, "larger than 4 MiB")  # noqa: TRY301 — told like the others
            text = path.read_bytes()
            pack = msgspec.convert(tomllib.loads(text.decode()), _Pack, dec_hook=decode_hook)
        except OSError as error:
            problems.append(f"{path}: cannot be read: {error.strerror}")
        except (ValueError, RecursionError) as error:  # bad UTF-8, bad TOML, msgspec's own refusals
            missing = "has no [[signature]]; a pack is a list of them" if "required field `signature`" in str(error) else ""
            problems.append(f"{path}: {missing or error}")
        else:
            digest.update(text)
            for number, table in enumerate(pack.signature, 1):
                _add(table, f"{path}: signature {str(table.get('id', number))!r:.80}", seen, problems, (path, pack.source, samples))
    for signature in seen.values():
        problems += [f"{signature.origin}: signature '{signature.id}': cleared_by names {unknown!r:.80}, which no pack has"
                     for unknown in signature.cleared_by if unknown not in seen]  # fmt: skip
    return Packs(tuple(seen.values()), digest.hexdigest())


def _add(table: dict[str, Any], where: str, seen: dict[str, Signature], problems: list[str], pack: tuple[Path, Source, bool]) -> None:
    path, source, samples = pack
    kept = {"source": source, **table, "origin": str(path)}
    if not samples:
        kept |= {"match": (), "no_match": ()}
    try:
        if "origin" in table:
            raise ValueError("origin: unknown key")  # noqa: TRY301 — told like the others
        signature = msgspec.convert(kept, Signature, dec_hook=decode_hook)
        prefilter(signature.pattern)
        if path.parent != SHIPPED and slowest(signature.pattern) >= SLOW:
            raise BadPattern("takes too long on a crafted line: bound its repeats, as in [a-z]{1,40}, and begin it with fixed text")  # noqa: TRY301 — told below
    except BadPattern as error:
        problems.append(f"{where}: pattern {error}")
    except ValueError as error:
        problems.append(f"{where}: {error}")
    else:
        if signature.id in seen:
            problems.append(f"{where}: the id is taken by {seen[signature.id].origin}; choose another")
        else:
            seen[signature.id] = signature


def _files(directories: Iterable[Path], problems: list[str]) -> Sequence[Path]:
    found = sorted(SHIPPED.glob("*.toml"))
    for directory in directories:
        try:
            found += sorted(path for path in directory.iterdir() if path.suffix == ".toml")
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(f"{directory}: cannot be read: {error.strerror}")
    return found
