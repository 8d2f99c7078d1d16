"""Actions on the drills' fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.drills.lab import APP, RECORDED

if TYPE_CHECKING:
    from tests.drills.boot import Boot
    from tests.drills.lab import Lab

ROCKET = "3,{number},{number}000000,-;xennet: skb rides the rocket: 19 slots\n"
FLOOD = 50_000


def lose_syns(lab: Lab) -> None:
    """Drop one SYN in twenty to the application on b1."""
    rule = f"tcp dport {APP} tcp flags syn numgen random mod 100 < 5 drop"
    text = f"table ip drill {{ chain input {{ type filter hook input priority 0; {rule}; }}; }}"
    lab.hosts["b1"].network.run("nft", "-f", "-", text=text)


def link(lab: Lab, host: str, *words: str) -> None:
    """Change a host's wire at the router's end."""
    lab.hub.run("ip", "link", "set", lab.hosts[host].wire, *words)


def change_driver(lab: Lab, *kind: str) -> None:
    """Make an interface anew, of another kind, under the same name."""
    network = lab.hosts["a2"].network
    network.run("ip", "link", "del", "app0")
    network.run("ip", *kind)


def rockets(lab: Lab) -> None:
    """Replay five recorded lines of the kernel."""
    with (lab.hosts["a1"].folder / "kmsg").open("a") as stream:
        stream.writelines(ROCKET.format(number=number) for number in range(1, 6))


def flood(lab: Lab) -> None:
    """Write more than is read between two looks, into a file that is emptied meanwhile."""
    syslog = lab.hosts["a3"].syslog
    for number in range(FLOOD):
        syslog.say(f"request {number} failed: {'no space left on device ' * 8}")
    syslog.forget()


def boot(lab: Lab) -> Boot:
    """Return the disk of the recorded host."""
    boot = lab.hosts[RECORDED].boot
    assert boot is not None
    return boot
