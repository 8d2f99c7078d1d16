"""Fork server: a process that has vitald's modules imported, and forks once for each command line. `python -m tests.kit.faultwalk.zygote`.

One JSON object per line on stdin: `{"argv", "cwd", "stdout", "stderr", "environment", "numbers"}` starts a child and is answered with
its pid, `{"wait": pid}` is answered with its wait status. What is imported here is what vitald has imported when its `main()` begins.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from typing import Any

import daemon.cli.check.command
import daemon.cli.run  # noqa: F401
from daemon.cli.main import main
from tests.kit.faultwalk.seccomp import install


def child(order: dict[str, Any]) -> int:
    """Become the program."""
    os.setsid()
    os.chdir(order["cwd"])
    for number, flags, path in (
        (0, os.O_RDONLY, "/dev/null"),
        (1, os.O_WRONLY | os.O_CREAT | os.O_APPEND, order["stdout"]),
        (2, os.O_WRONLY | os.O_CREAT | os.O_APPEND, order["stderr"]),
    ):
        fd = os.open(path, flags, 0o600)
        os.dup2(fd, number)
        os.close(fd)
    os.environ.update(order["environment"])
    sys.argv[1:] = order["argv"]
    if order["numbers"]:
        install(order["numbers"])
    return main()


def serve() -> None:
    """Answer until stdin ends."""
    gc.collect()
    gc.freeze()
    orders = os.fdopen(0, closefd=False)
    for line in orders:
        order = json.loads(line)
        if "wait" in order:
            answer = os.waitpid(order["wait"], 0)[1]
        elif (answer := os.fork()) == 0:
            try:
                sys.exit(child(order))  # as python does it: streams are flushed, threads are joined
            except SystemExit as error:
                code = error.code
                if isinstance(code, str):
                    sys.stderr.write(code + "\n")
                sys.stdout.flush()
                os._exit(code if isinstance(code, int) else int(code is not None))
            except BaseException:  # noqa: BLE001 — as the interpreter reports it
                sys.excepthook(*sys.exc_info())
                sys.stderr.flush()
                os._exit(1)
        os.write(1, b"%d\n" % answer)


if __name__ == "__main__":
    serve()
