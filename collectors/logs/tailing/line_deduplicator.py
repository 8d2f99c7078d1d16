"""One line in two files is one event: rsyslog writes what it hears to every file whose rule it fits. Pure."""

from __future__ import annotations

from collections import OrderedDict

_REMEMBERED = 4096


class LineDeduplicator:
    """Remembers how often each recent line was seen in each file. The same line twice in one file is two events."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, dict[str, int]] = OrderedDict()

    def is_copy(self, line: bytes, file: str) -> bool:
        """Count a line of a file; True where another file has already said it as often."""
        counts = self._seen.setdefault(line, {})
        self._seen.move_to_end(line)
        counts[file] = counts.get(file, 0) + 1
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return counts[file] <= max((count for other, count in counts.items() if other != file), default=0)
