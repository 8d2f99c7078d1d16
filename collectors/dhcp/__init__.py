"""DHCP lease collector. In: the kernel's address table and its events, lease files; out: the countdown, renewals and losses of leases.

Offers `read_addresses`, the address table with lifetimes, to other collectors.
"""

from collectors.dhcp.addresses import read_addresses

__all__ = ["read_addresses"]
