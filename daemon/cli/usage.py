"""Command line parser: a usage error names what was meant."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

USAGE_ERROR = 2
UNKNOWN_COMMAND = re.compile(r"argument COMMAND: invalid choice: (['\"])(?P<given>.*)\1 \(choose from .*\)", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """Parser whose usage errors exit with `error_status`, and name flags and commands that are spelled alike."""

    error_status = USAGE_ERROR

    def parse_args(self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None) -> argparse.Namespace:  # type: ignore[override]
        """Parse; exit with an error for unknown flags."""
        arguments, unknown = self.parse_known_args(args, namespace)
        if unknown:
            flags = [flag for parser in (self, *self._chosen(args or ())) for flag in parser._option_string_actions]  # noqa: SLF001 — argparse has no other way
            words = [f"{word}{_meant(word.partition('=')[0], flags)}" for word in unknown]
            for parser in (*self._chosen(args or ()), self):
                parser.error(f"unrecognized arguments: {' '.join(words)}")
        return arguments

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and exit."""
        if match := UNKNOWN_COMMAND.fullmatch(message):
            commands = self._commands()
            near = _meant(match["given"], commands)
            message = f"no command {match['given']!r}{near}; expected one of {', '.join(commands)}"
        self.print_usage(sys.stderr)
        self.exit(self.error_status, f"{self.prog}: {message}\n")

    def _commands(self) -> list[str]:
        choices = [action.choices for action in self._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
        return [name for names in choices for name in names or ()]

    def _chosen(self, args: Iterable[str]) -> list[Parser]:
        """Return the parser of the command that was given."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
                return [parser for word in args if isinstance(parser := (action.choices or {}).get(word), Parser)][:1]
        return []


def _meant(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean WORD?)` for the nearest known word; empty if none is near."""
    from difflib import get_close_matches  # noqa: PLC0415 — needed for typing errors only

    near = get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
