"""Readers of network interfaces: sysfs, the ethtool ioctls (or a recording of ethtool's output), link events, TCP counters."""
