"""DHCP leases and their countdown."""
