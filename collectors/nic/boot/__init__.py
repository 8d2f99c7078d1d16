"""The next boot: which kernel is started, and which NIC module it finds on disk and in its initramfs."""
