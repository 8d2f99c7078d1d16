"""The next boot: installed kernels, the one that boots next, and its NIC modules on disk and in its initramfs.

In: /lib/modules, /boot and the boot loader's files below a root. Out: `InstalledKernels`, from a thread that watches them.
"""
