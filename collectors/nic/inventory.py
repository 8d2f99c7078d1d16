"""The interfaces we know: looked at again one by one or all together, forgotten when they go, remembered for a while after."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from collectors.interfaces import matches_any
from collectors.model import Unavailable
from collectors.nic import change_history as memory
from collectors.nic.checks.next_boot import module_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from collectors.model import Slot
    from collectors.nic.readers.interface_reader import Looker
    from collectors.nic.reading import Nic

MOST_INTERFACES = 1000
GONE_SECONDS = 600.0  # how long an interface that vanished is spoken of


class Inventory:
    """`nics` by name, and `gone`: interfaces with a device behind them that vanished lately, with the Unix time. Not thread-safe."""

    def __init__(self, looker: Looker, ignore: Sequence[str], slot: Slot) -> None:
        self._looker, self._ignore, self._slot = looker, ignore, slot
        self._memory: memory.Memory | None = None
        self._learned = False
        self.nics: dict[str, Nic] = {}
        self.gone: Mapping[str, float] = {}
        self.unread = 0  # interfaces beyond the most that one look takes

    def look_at_all(self, wall: float) -> None:
        """Look at every interface. Unavailable where they cannot be listed."""
        try:
            names = [name for name in self._looker.interfaces() if not matches_any(name, self._ignore)]
        except FileNotFoundError as error:
            raise Unavailable("missing", f"no interfaces under {error.filename}") from error
        except PermissionError as error:
            raise Unavailable("permission", f"may not list {error.filename}") from error
        self.look_at([*names[:MOST_INTERFACES], *(set(self.nics) - set(names))], wall)
        self.unread = max(0, len(names) - MOST_INTERFACES)
        self.save()

    def look_at(self, names: Iterable[str], wall: float) -> None:
        """Look at these interfaces, and drop those that are there no more."""
        if self._memory is None:
            self._memory = memory.restore(self._slot.load())
        for name in names:
            before = self.nics.get(name)
            if matches_any(name, self._ignore):
                continue
            nic = self._looker.look(name, before)
            if nic is None:
                self._drop(name, wall)
            elif before is not nic and (before is not None or len(self.nics) < MOST_INTERFACES):
                self.gone = {other: at for other, at in self.gone.items() if other != name}
                self._learned |= memory.note(self._memory, name, memory.facts(nic), wall)
                self.nics[name] = replace(nic, changes=dict(self._memory.get(name, {})))
        if self.gone:
            self.gone = {name: at for name, at in self.gone.items() if 0 <= wall - at < GONE_SECONDS}

    def save(self) -> None:
        """Save what was learned, if anything: with full looks and at the end, so that a flapping interface does not wear out the disk."""
        if self._learned and self._memory is not None:
            memory.shrink(self._memory, self.nics)
            self._slot.save(memory.dump(self._memory))
            self._learned = False

    def modules(self) -> tuple[str, ...]:
        """Name the modules that the interfaces with a device behind them need."""
        return tuple(sorted({module for nic in self.nics.values() if nic.link.physical and (module := module_of(nic))}))

    def _drop(self, name: str, wall: float) -> None:
        """Forget an interface; one with a device behind it is spoken of for a while, unless it only changed its name."""
        nic = self.nics.pop(name, None)
        self._looker.forget(name)
        if nic is None or not nic.link.physical:
            return
        if all(other.index != nic.link.index for other in self._looker.present()):
            self.gone = {**self.gone, name: wall}
