"""Compiler of the hyperscan database, a helper process: `python -Im collectors.logs.matching.compile_database`.

The compiler takes several times the memory of its result; a helper gives it back. Reads a JSON list of expressions from stdin and
writes `COMPILED` and the serialised database to stdout, or for a refused expression its number and the reason.
"""

from __future__ import annotations

import json
import sys

import hyperscan

COMPILED = b"compiled\n"


def compile_database(expressions: list[str]) -> hyperscan.Database:
    """Compile one database; expression n gets the id n. Raises `hyperscan.error`."""
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        [e.encode() for e in expressions], ids=list(range(len(expressions))), flags=[hyperscan.HS_FLAG_MULTILINE] * len(expressions)
    )
    return database


def main() -> None:
    """Answer one request."""
    expressions = json.load(sys.stdin)
    try:
        sys.stdout.buffer.write(COMPILED + hyperscan.dumpb(compile_database(expressions)))
    except hyperscan.error:
        sys.stdout.write(_refusal(expressions))


def _refusal(expressions: list[str]) -> str:
    for number, expression in enumerate(expressions):
        try:
            compile_database([expression])
        except hyperscan.error as error:
            return f"{number} {error.args[0] if error.args else error}"
    return "-1 all patterns together are too large for hyperscan"


if __name__ == "__main__":
    main()
