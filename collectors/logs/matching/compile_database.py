"""Compile expressions for hyperscan, in a process of its own: `python -Im collectors.logs.matching.compile_database`.

The compiler takes several times the memory of what it makes. A child gives all of it back.
Reads a JSON list of expressions from stdin and writes the serialised database to stdout; an expression that is refused is named on
stderr as `NUMBER reason`, exit 1.
"""

from __future__ import annotations

import json
import sys

import hyperscan


def compile_database(expressions: list[str]) -> hyperscan.Database:
    """Build one database; expression n gets the id n."""
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        [e.encode() for e in expressions], ids=list(range(len(expressions))), flags=[hyperscan.HS_FLAG_MULTILINE] * len(expressions)
    )
    return database


def main() -> int:
    """Serve one request."""
    expressions = json.load(sys.stdin)
    try:
        sys.stdout.buffer.write(hyperscan.dumpb(compile_database(expressions)))
    except hyperscan.error:
        for number, expression in enumerate(expressions):
            try:
                compile_database([expression])
            except hyperscan.error as error:
                sys.stderr.write(f"{number} {error.args[0] if error.args else error}\n")
                return 1
        sys.stderr.write("-1 all patterns together are too large for hyperscan\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
