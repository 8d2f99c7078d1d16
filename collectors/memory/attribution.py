"""Says which area grew and who is behind it. Pure: a reading in, sentences out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors.memory.ledger import HELD
from collectors.memory.units import clean, size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.memory.reading import Reading

SHARE = 0.3  # of the growth: what explains less than this is not the reason
LEAST = 0.05  # of the growth: who had less than this at the last look is not named for it
SLAB_NEEDED = "CAP_DAC_READ_SEARCH would name the cache (share/holders.conf, a drop-in for the unit)"
NEEDED = "CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE would name them (share/holders.conf, a drop-in for the unit)"


def grown(reading: Reading) -> dict[str, int]:
    """Give what each area that the kernel holds gained since the growth began, largest first; areas that did not are left out."""
    gains = {area: reading.ledger.areas.get(area, 0) - reading.before[area] for area in HELD if area in reading.before}
    return dict(sorted(((area, gain) for area, gain in gains.items() if gain > 0), key=lambda item: -item[1]))


def culprit(reading: Reading) -> str:
    """Name who is behind the growth, as far as we can see; empty where nothing grew."""
    gains = grown(reading)
    if not gains:
        return ""
    area, total = next(iter(gains)), sum(gains.values())
    if area in {"unaccounted", "slab_unreclaimable", "vmalloc"} and (sockets := _sockets(reading, total)):
        return sockets
    return _BY_AREA.get(area, _unowned)(reading, gains[area])


def holder(one: Mapping[str, Any]) -> str:
    """Say one holder of socket buffers in a line."""
    return f"{owner(one)}: {size(one['bytes'])} in {sockets_of(one)}"


def sockets_of(one: Mapping[str, Any]) -> str:
    """Say how many sockets a holder has, with whom, and which end does not read."""
    peer, unread = clean(one["peer"]), one["unread"] > one["bytes"] / 2
    where = f" {'from' if unread else 'to'} {peer}" if peer else ""
    why = " that it does not read" if unread else " that does not read" if peer else ""
    return f"{one['sockets']} socket{'s' if one['sockets'] > 1 else ''}{where}{why}"


def owner(one: Mapping[str, Any]) -> str:
    """Name a process as people look it up."""
    return clean(str(one["comm"])) + (f" pid {one['pid']}" if one["pid"] else "") + (f" {clean(one['unit'])}" if one["unit"] else "")


def _sockets(reading: Reading, total: int) -> str:
    """Blame socket buffers if they explain the growth: the host's own count of TCP and UDP pages, else what the look found."""
    now, before = reading.ledger.of_which, reading.before
    gain = sum(now.get(name, 0) - before.get(name, 0) for name in ("tcp_buffers", "udp_buffers"))
    looked = (reading.holders or {}).get("sockets", {})
    seen, counted = looked.get("bytes", 0), looked.get("counted", total)  # a look may be minutes old: it saw less than there is now
    if max(gain, seen) < total * SHARE:
        return ""
    top = (reading.holders or {}).get("holders") or ()
    if top and seen >= min(total, counted) * SHARE and top[0]["bytes"] >= total * LEAST:
        others = f"; all processes together {size(seen)}" if top[0]["bytes"] < seen / 2 else ""
        unseen = f"; {NEEDED}" if reading.holders and reading.holders["hidden"] and not top[0]["pid"] else ""
        return holder(top[0]) + others + unseen
    if reading.holders is None or counted < total * SHARE:
        return f"socket buffers, {size(gain)} more than before; who holds them was not looked at yet"
    return f"socket buffers, {size(gain)} more than before, in another network namespace (a container), where we may not look"


def _slab(reading: Reading, gain: int) -> str:
    if reading.slab_growth is None:
        return f"the kernel's slab caches; {reading.slab_problem}{_open_files(reading)}"
    top = next(iter(reading.slab_growth.items()), ("", 0))
    if top[1] < gain * SHARE:
        return f"no one slab cache: large allocations by the kernel itself or a module{_modules(reading)}{_open_files(reading)}"
    return f"slab cache {clean(top[0])}, {size(top[1])} more than before{_open_files(reading)}"


def _open_files(reading: Reading) -> str:
    """Add who has thousands of the files that keep slab objects alive."""
    files = (reading.holders or {}).get("files") or ()
    return "".join(f"; {owner(one)} has {one['size']} open {clean(one['kind'])}" for one in files[:1])


def _page_tables(reading: Reading, gain: int) -> str:
    top = (reading.holders or {}).get("page_tables") or ()
    if top and top[0]["size"] >= gain * SHARE:
        return f"{owner(top[0])}: {size(top[0]['size'])} of page tables"
    return "page tables of many processes together" if reading.holders is not None else "page tables; whose was not looked at yet"


def _stacks(reading: Reading, gain: int) -> str:  # noqa: ARG001 — one signature for all
    top = (reading.holders or {}).get("threads") or ()
    return f"{owner(top[0])}: {top[0]['size']} threads, each with a kernel stack" if top else "kernel stacks of many threads"


def _percpu(reading: Reading, gain: int) -> str:  # noqa: ARG001
    dying = reading.dying_cgroups
    return "per-CPU memory: cgroups, mounts or BPF maps" + (f"; {dying} cgroups were removed and are still held" if dying else "")


def _unowned(reading: Reading, gain: int) -> str:
    pipes = (reading.holders or {}).get("pipes") or ()
    if pipes and pipes[0]["size"] / 2 * 65536 >= gain * SHARE:  # each pipe has two ends, mostly in one process
        return f"{owner(pipes[0])} has {pipes[0]['size']} ends of pipes open; what is in pipes is in no counter"
    return f"no counter owns it: driver pages or a module{_modules(reading)}"


def _modules(reading: Reading) -> str:
    return f" ({', '.join(sorted(map(clean, reading.modules))[:5])} arrived since)" if reading.modules else ""


_BY_AREA = {"slab_unreclaimable": _slab, "page_tables": _page_tables, "kernel_stack": _stacks, "percpu": _percpu, "unaccounted": _unowned}
