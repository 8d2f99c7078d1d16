"""DHCP leases and their countdown."""

from collectors.dhcp.addresses import read_addresses

__all__ = ["read_addresses"]
