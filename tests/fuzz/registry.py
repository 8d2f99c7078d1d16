"""All fuzz targets, and the modules that decode bytes without being a parser of foreign ones, each with its reason."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from typing import TYPE_CHECKING

import tests.fuzz.targets
from tests.fuzz.target import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fuzz.target import Target

# Calls that take in bytes from outside or decode them: readers of files, sockets and children, struct, JSON, TOML, YAML, regular
# expressions over a whole text.
DECODES = frozenset(
    {
        *("read_once", "read_regular", "read_bytes", "read_text", "read_line", "read_some", "text_of", "text_or_none", "readinto", "pread"),
        *("recv", "recvfrom", "recvmsg", "recv_into", "ioctl", "getsockopt", "readlink", "ask"),
        *("unpack", "unpack_from", "iter_unpack", "from_bytes", "fromhex", "b64decode", "Decompressor", "decompressobj"),
        *("loads", "load", "convert", "Decoder", "decode", "finditer", "findall", "safe_load"),
    }
)

NOT_PARSERS = {
    "collectors.dhcp.collector": "passes its slot's value to leases.restore",
    "collectors.files": "reads bytes, within bounds, and decodes only the boot id",
    "collectors.helper_process": "reads a child's bytes within a bound; each client decodes its own",
    "collectors.interfaces": "decodes a name that a log line or the kernel has, with replacement",
    "collectors.logs.matching.compile_database": "decodes the question of its own parent",
    "collectors.logs.recorder": "passes its slot's value to logs.state",
    "collectors.logs.sources.journal_child": "takes the number of journalctl's version",
    "collectors.logs.sources.journal": "divides a child's output into lines, which journal_entry parses",
    "collectors.nic.inventory": "passes its slot's value to change_history and last_boot",
    "collectors.probe.connect.local_errors": "reads two counters of /proc/sys; what is no number is no full table",
    "collectors.probe.diagnosis.runner": "reads counters of /sys; what is no number is left out",
    "collectors.logs.matching.pack_reloader": "calls packs.read",
    "collectors.logs.sources.event": "decodes a line for display, with replacement",
    "collectors.logs.tailing.siblings": "compares the heads and tails of two files, byte by byte",
    "collectors.memory.collector": "passes its slot's value to trend.history.restore",
    "collectors.model": "reads the boot id and mountinfo to compare them",
    "collectors.netlink.link_details_helper": "decodes the question of its own parent",
    "collectors.nic.boot.paths": "reads a link's target as a path below the root",
    "collectors.nic.collector": "reads /proc/cmdline for device_modules",
    "collectors.nic.readers.interface_reader": "hands the helper's answer on, which link_details decodes",
    "collectors.packets.capability": "reads this process' own capability sets",
    "collectors.packets.scapy_helper.__main__": "decodes the orders of its own parent",
    "collectors.probe.connect.sweep": "unpacks struct tcp_info and SO_ERROR, of a size that the kernel returns",
    "collectors.probe.targets.mesh": "decodes bytes that it encoded itself",
    "collectors.probe.targets.rendezvous": "takes numbers of its own digest",
    "collectors.probe.targets.target_files": "calls file_sd",
    "daemon.application": "empties the pipe of its own signals",
    "daemon.state_store": "passes files to collectors.state",
    "daemon.cli.check_config": "calls packs.read and config.load",
    "daemon.cli.dashboard": "reads the shipped dashboard",
    "daemon.cli.explain": "calls packs.load",
    "daemon.cli.host_flags": "calls config.load",
    "daemon.cli.rules": "reads the shipped rules",
    "daemon.cli.runbook": "reads the shipped runbooks",
    "daemon.cli.scan.command": "calls packs.load",
    "daemon.cli.scan.workers": "receives what its own workers send",
    "daemon.cli.signatures": "calls packs.load",
    "exporters.prometheus.http.connection": "receives bytes, which framing parses",
    "exporters.prometheus.status_page.page": "reads the shipped style sheet",
    "exporters.prometheus.web_config.tls": "decodes PEM for OpenSSL, which checks it",
}


def targets() -> dict[str, Target]:
    """Import every target, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(tests.fuzz.targets.__path__))
    found = [target for name in names for target in importlib.import_module(f"tests.fuzz.targets.{name}").TARGETS]
    assert len({target.name for target in found}) == len(found)
    return {target.name: target for target in found}


def decoding_modules(root: Path = ROOT) -> Iterator[str]:
    """Yield the modules of the program that take in or decode bytes."""
    for layer in ("collectors", "exporters", "daemon"):
        for path in sorted((root / layer).rglob("*.py")):
            calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
            names = {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}
            if names & DECODES:
                yield ".".join(path.relative_to(root).with_suffix("").parts)
