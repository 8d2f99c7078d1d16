from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from collectors.logs.collector import LogsCollector
from collectors.logs.matching.database import open_database
from collectors.logs.matching.matcher import Matcher
from collectors.logs.matching.packs import Packs, load
from collectors.logs.settings import LogSettings
from collectors.model import CollectorContext
from tests.kit.slots import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collectors.logs.reading import LogsReading
    from collectors.model import Verdict

FIXTURES = Path(__file__).parents[2] / "fixtures" / "logs"


@pytest.fixture(scope="session")
def packs() -> Packs:
    return load(samples=True)


@pytest.fixture(scope="session")
def database_file(tmp_path_factory: pytest.TempPathFactory, packs: Packs) -> Path:
    file = tmp_path_factory.mktemp("signatures") / "database"
    open_database(packs.signatures, file)
    return file


@pytest.fixture(scope="session")
def matcher(packs: Packs, database_file: Path) -> Matcher:
    return Matcher(packs.signatures, open_database(packs.signatures, database_file))


@pytest.fixture(scope="session")
def fixture_lines() -> dict[str, Sequence[tuple[str, ...]]]:
    """Return lines from real hosts: those that must never match, and those that only report a state."""
    return {
        name: [tuple(line.split("\t")) for line in (FIXTURES / name).read_text().splitlines() if line]
        for name in ("negatives.txt", "benign-state.txt")
    }


class LogsLab:
    """The collector with a folder of log files, and no source of this machine unless a test enables it."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.syslog = folder / "syslog"
        self.slot = Kept()
        self.cache = cache
        self.settings: dict[str, Any] = {"kmsg": "off", "journal": "off", "files": (str(self.syslog),), "signature_dirs": ()}
        self.logs: LogsCollector | None = None

    def open(self, **settings: Any) -> LogsCollector:
        self.settings |= settings
        self.logs = LogsCollector(LogSettings(**self.settings), CollectorContext(slot=self.slot, cache=self.cache))
        return self.logs

    def restart(self, *, killed: bool = False) -> None:
        """Stop and start; `killed`: without the save at the end."""
        assert self.logs is not None
        kept = self.slot.data
        self.logs.close()
        if killed:
            self.slot.data = kept
        self.open()

    def write(self, *lines: str, to: str = "syslog") -> None:
        with (self.folder / to).open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def read(self) -> LogsReading:
        return (self.logs or self.open()).read()

    def counts(self) -> dict[str, int]:
        """Read, and return the counts above 0."""
        return {name: count for name, count in self.read().events.items() if count}

    def levels(self) -> dict[str, int]:
        return {check: verdict.level for check, verdict in self.verdicts().items()}

    def verdicts(self) -> dict[str, Verdict]:
        assert self.logs is not None or self.open()
        assert self.logs is not None
        return {verdict.check: verdict for verdict in self.logs.judge([self.logs.read()], LogSettings())}

    def lost(self) -> dict[tuple[str, str], int]:
        return {(Path(source).name, reason): count for (source, reason), count in self.read().lost.items() if count}

    def pack(self, text: str) -> str:
        """Write a pack of the user's, and return its folder."""
        (self.folder / "signatures.d").mkdir(exist_ok=True)
        (self.folder / "signatures.d" / "own.toml").write_text(text)
        return str(self.folder / "signatures.d")


@pytest.fixture
def lab(tmp_path: Path, database_file: Path) -> Iterator[LogsLab]:
    (tmp_path / "host").mkdir()
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "signatures.db").write_bytes(database_file.read_bytes())
    lab = LogsLab(tmp_path / "host", cache)
    lab.syslog.touch()
    yield lab
    if lab.logs is not None:
        lab.logs.close()
