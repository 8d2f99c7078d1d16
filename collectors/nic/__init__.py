"""The network interfaces: driver, module on disk, offloads, link, allowances."""
