"""Host identity collector. In: /proc, firmware tables and the EC2 instance metadata service; out: one info series.

Offers `read_identity` and `read_platform` to other collectors.
"""

from collectors.host.dmi import read_platform
from collectors.host.identity import read_identity

__all__ = ["read_identity", "read_platform"]
