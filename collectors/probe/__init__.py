"""TCP probe collector: is each target reachable, how far away is it, how many SYNs does a connect take, and why does one fail.

`targets` decides what to probe, `dns` resolves names, `connect` probes, `diagnosis` finds the cause where a target turned bad.
Out comes a ProbeReading with the statistics and the address of each target.
"""

from collectors.probe.reading import ProbeReading
from collectors.probe.targets.target import SocketAddress

__all__ = ["ProbeReading", "SocketAddress"]
