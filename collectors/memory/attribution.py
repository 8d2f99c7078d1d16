"""Attribution of growth: the area that grew, and the process, cache or module behind it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors.memory.ledger import UNRECLAIMABLE
from collectors.memory.units import size
from collectors.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.memory.analysis import MemoryAnalysis

SHARE = 0.3  # of the growth: what explains less than this is not the cause
LEAST = 0.05  # of the growth: a process that held less than this at the last scan is not named
MAX_NAME = 64  # characters of a process name or unit in a message
SLAB_NEEDED = "CAP_DAC_READ_SEARCH would name the cache (share/holders.conf, a drop-in for the unit)"
NEEDED = "CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE would name them (share/holders.conf, a drop-in for the unit)"


def growth_by_area(analysis: MemoryAnalysis) -> dict[str, int]:
    """Return what each unreclaimable area gained since the growth began, largest first; areas without a gain are left out."""
    areas, before = analysis.reading.ledger.areas, analysis.before
    gains = {area: areas.get(area, 0) - before[area] for area in UNRECLAIMABLE if area in before}
    return dict(sorted(((area, gain) for area, gain in gains.items() if gain > 0), key=lambda item: -item[1]))


def attribute(analysis: MemoryAnalysis) -> str:
    """Return the cause of the growth, as far as it could be read; empty where no area grew."""
    if not (gains := growth_by_area(analysis)):
        return ""
    area, total = next(iter(gains)), sum(gains.values())
    if area in {"unaccounted", "slab_unreclaimable", "vmalloc"} and (sockets := _sockets(analysis, total)):
        return sockets
    return _BY_AREA.get(area, _unaccounted)(analysis, gains[area])


def describe_holder(holder: Mapping[str, Any]) -> str:
    """Describe one holder of socket buffers in a line."""
    return f"{describe_process(holder)}: {size(holder['bytes'])} in {describe_sockets(holder)}"


def describe_sockets(holder: Mapping[str, Any]) -> str:
    """Describe a holder's sockets: how many, the peer, and which end does not read."""
    peer, unread = printable(holder["peer"]), holder["unread"] > holder["bytes"] / 2
    where = f" {'from' if unread else 'to'} {peer}" if peer else ""
    reader = " that it does not read" if unread else " that does not read" if peer else ""
    return f"{holder['sockets']} socket{'s' if holder['sockets'] > 1 else ''}{where}{reader}"


def describe_process(row: Mapping[str, Any]) -> str:
    """Return a process' name, pid and unit."""
    unit = f" {printable(row['unit'])[:MAX_NAME]}" if row["unit"] else ""
    return printable(str(row["comm"]))[:MAX_NAME] + (f" pid {row['pid']}" if row["pid"] else "") + unit


def _rows(analysis: MemoryAnalysis, kind: str) -> list[Mapping[str, Any]]:
    return (analysis.reading.holders or {}).get(kind) or []


def _sockets(analysis: MemoryAnalysis, total: int) -> str:
    """Attribute to socket buffers if they explain the growth: by the host's count of TCP and UDP pages, else by the scan's result."""
    reading, before = analysis.reading, analysis.before
    gain = sum(reading.ledger.of_which.get(name, 0) - before.get(name, 0) for name in ("tcp_buffers", "udp_buffers"))
    scanned = (reading.holders or {}).get("sockets", {})
    seen, counted = scanned.get("bytes", 0), scanned.get("counted", total)  # a scan may be minutes old, and its sums smaller
    if max(gain, seen) < total * SHARE:
        return ""
    top = _rows(analysis, "holders")
    if top and seen >= min(total, counted) * SHARE and top[0]["bytes"] >= total * LEAST:
        others = f"; all processes together {size(seen)}" if top[0]["bytes"] < seen / 2 else ""
        hidden = f"; {NEEDED}" if reading.holders and reading.holders["hidden"] and not top[0]["pid"] else ""
        return describe_holder(top[0]) + others + hidden
    if reading.holders is None or counted < total * SHARE:
        return f"socket buffers, {size(gain)} more than before; holders not scanned yet"
    return f"socket buffers, {size(gain)} more than before, in another network namespace (a container), which is not readable"


def _slab(analysis: MemoryAnalysis, gain: int) -> str:
    if analysis.slab_growth is None:
        return f"the kernel's slab caches; {analysis.reading.slab_error}{_open_files(analysis)}"
    cache, gained = next(iter(analysis.slab_growth.items()), ("", 0))
    if gained < gain * SHARE:
        return f"no single slab cache: large allocations by the kernel itself or a module{_modules(analysis)}{_open_files(analysis)}"
    return f"slab cache {printable(cache)}, {size(gained)} more than before{_open_files(analysis)}"


def _open_files(analysis: MemoryAnalysis) -> str:
    """Return the process with thousands of the files that keep slab objects allocated."""
    rows = _rows(analysis, "files")[:1]
    return "".join(f"; {describe_process(row)} has {row['size']} open {printable(row['kind'])}" for row in rows)


def _page_tables(analysis: MemoryAnalysis, gain: int) -> str:
    if (top := _rows(analysis, "page_tables")) and top[0]["size"] >= gain * SHARE:
        return f"{describe_process(top[0])}: {size(top[0]['size'])} of page tables"
    return "page tables of many processes together" if analysis.reading.holders is not None else "page tables; holders not scanned yet"


def _stacks(analysis: MemoryAnalysis, gain: int) -> str:  # noqa: ARG001 — one signature for all
    top = _rows(analysis, "threads")
    return f"{describe_process(top[0])}: {top[0]['size']} threads, each with a kernel stack" if top else "kernel stacks of many threads"


def _percpu(analysis: MemoryAnalysis, gain: int) -> str:  # noqa: ARG001
    dying = analysis.reading.dying_cgroups
    return "per-CPU memory: cgroups, mounts or BPF maps" + (f"; {dying} cgroups were removed and are still held" if dying else "")


def _unaccounted(analysis: MemoryAnalysis, gain: int) -> str:
    pipes = _rows(analysis, "pipes")
    if pipes and pipes[0]["size"] / 2 * 65536 >= gain * SHARE:  # each pipe has two ends, mostly in one process
        return f"{describe_process(pipes[0])} has {pipes[0]['size']} ends of pipes open; the contents of pipes are in no counter"
    return f"in no counter: driver pages or a module{_modules(analysis)}"


def _modules(analysis: MemoryAnalysis) -> str:
    return f" (loaded since: {', '.join(sorted(map(printable, analysis.new_modules))[:5])})" if analysis.new_modules else ""


_BY_AREA = {"slab_unreclaimable": _slab, "page_tables": _page_tables, "kernel_stack": _stacks, "percpu": _percpu}
