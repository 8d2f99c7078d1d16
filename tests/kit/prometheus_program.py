"""The command line of the real Prometheus, as every test starts it: all it writes stays in the test's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def command(folder: Path, listen: str = "127.0.0.1:0") -> list[str]:
    """Run with `prometheus.yml` of this folder; on port 0 the kernel chooses one, which its log names."""
    return ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={listen}"]
