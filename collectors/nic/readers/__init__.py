"""Readers of one interface: sysfs, ethtool, link events, protocol counters."""
