"""NIC collector: driver, kernel modules on disk, offloads, MTU, link, EC2 allowances and throughput of the network interfaces.

In: sysfs, the ethtool ioctls, rtnetlink's link events, /proc/net/{snmp,netstat}, /lib/modules and /boot; `[nic]` settings.
Out: `NicReading`, verdicts `nic_driver`, `nic_driver_next_boot`, `nic_offload`, `nic_mtu`, `nic_link`, `nic_allowance`, `nic_stall`.
"""
