"""Messages of the kernel that hold a text of a user, with the kernel's format strings (4.14 to 6.18) and each text's limits."""

from __future__ import annotations

from typing import NamedTuple

COMM, NAME, NETDEV, LONG = 15, 255, 15, 400  # bytes: TASK_COMM_LEN - 1, NAME_MAX, IFNAMSIZ - 1, paths and options


class Message(NamedTuple):
    """`limit` in bytes of the text at `{}`; `without` are characters that cannot be in it."""

    format: str
    limit: int
    without: str = ""


_ADDRESSES = "ip 0000558140000000 sp 00007ffc00000000 error 4"
COMM_FIRST = (
    "{}[311]: segfault at 0 " + _ADDRESSES + " in a.out[558140000000+1000]",  # arch/x86/mm/fault.c show_signal_msg
    "{}[311]: segfault at 0 " + _ADDRESSES,
    "{}[311]: segfault at 0 " + _ADDRESSES + " likely on CPU 1 (core 1, socket 0)",
    "{}[311] general protection ip:558140000000 sp:7ffc0 error:0",  # arch/x86/kernel/traps.c before "traps: "
    "{}[311] trap invalid opcode ip:558140000000 sp:7ffc0 error:0 in a.out[558140000000+1000]",
    "{}[311] bad frame in rt_sigreturn frame:00007ffc0 ip:7f0 sp:7ffc0 orax:ffffffffffffffff",  # arch/x86/kernel/signal.c
    "{}[311] vsyscall attempted with vsyscall=none ip:ffffffffff600000 cs:33 sp:7ffc0 ax:0 si:0 di:0",
    "{}[311] attempts to use CLI/STI, pretending it's a NOP, ip:558140000000",
    "{}[311] uses hintable NOPs that your processor does not support.",
    "{}[311]: unhandled level 2 translation fault (11) at 0x00000000, esr 0x92000006",  # arch/arm64/kernel/traps.c arm64_show_signal
    "{}[311]: unhandled exception: DABT (lower EL), ESR 0x0000000092000006, level 2 translation fault in a.out[400000+1000]",
    "{}[311]: undefined instruction: pc=0000000000400000",
    "{}[311]: syscall 400",
    "{}[311]: memfd_create() called without MFD_EXEC or MFD_NOEXEC_SEAL set",  # mm/memfd.c
    "{}[311] is installing a program with bpf_probe_write_user helper that may corrupt user memory!",
    "{} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",  # mm/oom_kill.c dump_header
    "{}: page allocation failure: order:4, mode:0x40dc0(GFP_KERNEL|__GFP_COMP|__GFP_ZERO), nodemask=(null),cpuset=/,mems_allowed=0",
    "{}: vmalloc error: size 8192, page order 0, failed to allocate pages, mode:0xdc0(GFP_KERNEL|__GFP_ZERO), nodemask=(null)",
    "{}: attempt to access beyond end of device\nloop0: rw=0, sector=8, nr_sectors = 8 limit=0",  # block/blk-core.c bio_check_eod
    "{}: 12 output lines suppressed due to ratelimiting",
    "{} (311) used greatest stack depth: 12000 bytes left",  # kernel/exit.c
    "{} (311): drop_caches: 3",  # fs/drop_caches.c
    "{} (311): /proc/311/oom_adj is deprecated, please use /proc/311/oom_score_adj instead.",
    "{} (311): attempted to duplicate a private mapping with mremap.  This is not supported.",
    "{}(311): Attempt to set a LOCK_MAND lock via flock(2). This support has been removed and the request ignored.",  # fs/locks.c
    "{}(311): dirtied inode 12 (a) on sda1",
    "{}/311: potentially unexpected fatal signal 11.",  # kernel/signal.c print_fatal_signal
    "{} uses obsolete (PF_INET,SOCK_PACKET)",  # net/socket.c
    "{} calls setitimer() with new_value NULL pointer. Misfeature support will be removed",
)
COMM_LATER = (
    "traps: {}[311] trap invalid opcode ip:558140000000 sp:7ffc0 error:0 in a.out[558140000000+1000]",
    "traps: {}[311] general protection fault ip:558140000000 sp:7ffc0 error:0",
    "umip: {}[311] ip:558140000000 sp:7ffc0: SGDT instruction cannot be used by applications.",
    "x86/split lock detection: #AC: {}/311 took a split_lock trap at address: 0x400000",
    "mmap: {} (311): VmData 8192 exceed data ulimit 4096. Update limits or use boot option ignore_rlimit_data.",
    "warning: `{}' uses 32-bit capabilities (legacy support in use)",
    "warning: `{}' uses deprecated v2 capabilities in a way that may be insecure",
    "process `{}' is using obsolete setsockopt SO_BSDCOMPAT",
    "netlink: 4 bytes leftover after parsing attributes in process `{}'.",
    "netlink: '{}': attribute type 1 has an invalid length.",
    "random: {}: uninitialized urandom read (16 bytes read)",
    "Lockdown: {}: raw io port access is restricted; see man kernel_lockdown.7",
    "sctp: [Deprecated]: {} (pid 311) Use of int in max_burst socket option deprecated.",
    "usb 1-1: usbfs: process 311 ({}) did not claim interface 0 before use",
    "usb 1-1: usbfs: USBDEVFS_CONTROL failed cmd {} rqt 128 rq 6 len 1024 ret -110",
    "program {} is using a deprecated SCSI ioctl, please convert it to SG_IO",
    "CPU: 1 PID: 311 Comm: {} Not tainted 6.1.0-13-amd64 #1  Debian 6.1.55-1",
    "Pid: 311, comm: {} Not tainted 3.10.0",
    "task:{} state:D stack:0     pid:311   ppid:1      flags:0x00000000",
    "INFO: task {}:311 blocked for more than 120 seconds.",
    "      Not tainted 6.1.0 {}",
    "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [{}:311]",
    "BUG: Bad page map in process {}  pte:8000000000000025 pmd:12345067",
    "Out of memory: Killed process 311 ({}) total-vm:1024kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB, UID:1000 pgtables:4kB",
    "Memory cgroup out of memory: Killed process 311 ({}) total-vm:1024kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB, UID:1000",
    "oom_reaper: reaped process 311 ({}), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
    "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/a,task={},pid=311,uid=1000",
    "[    311]  1000   311     2048      512    45056        0             0 {}",  # mm/oom_kill.c dump_task
    "XFS: {}(311) possible memory allocation deadlock size 32 in kmem_alloc (mode:0x2408240)",
    "BTRFS: device fsid 1c0ffee0-0000-0000-0000-000000000000 devid 1 transid 6 /dev/sdb (8:16) scanned by {} (311)",
    "uprobe: {}:311 failed to unregister",
    'audit: type=1701 audit(1700000000.1:7): auid=1000 uid=1000 ses=1 pid=311 comm="{}" exe="/tmp/a" sig=11 res=1',
    'audit: type=1400 audit(1700000000.1:8): apparmor="DENIED" operation="open" profile="a" name="/a" pid=311 comm="{}"',
)
_OTHER = (
    Message("a.out[311]: segfault at 0 " + _ADDRESSES + " in {}[558140000000+1000]", NAME, "/"),
    Message("traps: a.out[311] trap int3 ip:558140000000 sp:7ffc0 error:0 in {}[558140000000+1000]", NAME, "/"),
    Message("process '{}' started with executable stack", LONG),
    Message("process '/tmp/a' launched '{}' with NULL argv: empty string added", LONG),
    Message("overlayfs: upperdir is in-use as upperdir/workdir of another mount: /{}", LONG),
    Message('overlay: Unknown parameter "{}"', LONG),
    Message("tmpfs: Unknown parameter '{}'", LONG),
    Message("fuse: Unknown parameter '{}'", LONG),
    Message("nfs: Unknown parameter '{}'", LONG),
    Message("ceph: Unknown parameter '{}'", LONG),
    Message('EXT4-fs (loop0): Unrecognized mount option "{}" or missing value', LONG),
    Message("XFS (loop0): unknown mount option [{}].", LONG),
    Message('F2FS-fs (loop0): Unrecognized mount option "{}" or missing value', LONG),
    Message("{}: Can't open blockdev", LONG),
    Message("{}: Can't lookup blockdev", LONG),
    Message("BTRFS: device label {} devid 1 transid 6 /dev/loop0 (7:0) scanned by a.out (311)", NAME),
    Message("cgroup: fork rejected by pids controller in /user.slice/user-1000.slice/{}", LONG),
    Message("Task in /user.slice/{} killed as a result of limit of /user.slice", LONG),
    Message(
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset={},mems_allowed=0,global_oom,task_memcg=/a,task=a,pid=3,uid=0",
        NAME,
        "/",
    ),
    Message(
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={},mems_allowed=0,oom_memcg=/a,task_memcg=/a,task=a,pid=3", NAME, "/"
    ),
    Message(
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a/{},task_memcg=/a,task=a,pid=3", LONG
    ),
    Message("cgroup: cgroup: disabling cgroup2 socket matching due to net_prio or net_cls activation {}", LONG),
    Message("usb 1-1: Product: {}", 126),
    Message("usb 1-1: Manufacturer: {}", 126),
    Message("usb 1-1: SerialNumber: {}", 126),
    Message("input: {} as /devices/virtual/input/input7", 80),
    Message("hid-generic 0003:046D:C31C.0001: input,hidraw0: USB HID v1.10 Keyboard [{}] on usb-0000:00:14.0-1/input0", 128),
    Message("scsi 3:0:0:0: Direct-Access     {} 0001 PQ: 0 ANSI: 5", 25),
    Message("scsi 3:0:0:0: Direct-Access     IET      {} 0001 PQ: 0 ANSI: 5", 16),
    Message("ata1.00: ATA-9: {}, 1.0, max UDMA/133", 40),
    Message("mmc0: new high speed SD card at address 1234 {}", 15),
    Message("mmcblk0: mmc0:1234 {} 7.40 GiB", 6),
    Message('nvme nvme1: new ctrl: NQN "{}", addr 10.0.0.1:4420', 223),
    Message("device-mapper: ioctl: device {} already exists", 127),
    Message("device-mapper: uevent: version {}", 127),
    Message("{}IN=eth0 OUT= MAC=0a:00 SRC=10.0.0.1 DST=10.0.0.2 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP SPT=1 DPT=2", 127),
    Message("{}: renamed from eth7", NETDEV, ": /"),
    Message("{}: entered promiscuous mode", NETDEV, ": /"),
    Message("device {} entered promiscuous mode", NETDEV, ": /"),
    Message("IPv6: ADDRCONF(NETDEV_CHANGE): {}: link becomes ready", NETDEV, ": /"),
    Message("br0: port 2({}) entered blocking state", NETDEV, ": /"),
    Message("{}: Caught tx_queue_len zero misconfig", NETDEV, ": /"),
    Message('audit: type=1400 audit(1700000000.1:7): avc:  denied  {{ read }} for  pid=3 comm="a" name="{}" dev="sda1"', NAME),
    Message('audit: type=1400 audit(1700000000.1:8): apparmor="DENIED" operation="open" profile="{}" name="/a" pid=3', NAME),
    Message("systemd[1]: Starting {}...", 200),  # written to /dev/kmsg by systemd itself: facility 3, but the text is the same
    Message("[U] {}", 508),  # drivers/char/ttyprintk.c
    Message("a: loading out-of-tree module taints kernel. {}", 56),
    Message("a: module license '{}' taints kernel.", 200),
    Message("Command line: BOOT_IMAGE=/vmlinuz {}", 2048),
    Message("Kernel command line: BOOT_IMAGE=/vmlinuz {}", 2048),
    Message('Unknown kernel command line parameters "{}", will be passed to user space.', 2048),
    Message("Hardware name: {}, BIOS 1.0", 80),
    Message("DMI: {}, BIOS 1.0 10/16/2017", 80),
    Message("Modules linked in: {}", 500),
    Message("SELinux: security_context_str_to_sid ({}) failed with errno=-22", LONG),
    Message("SELinux:  Context {} is not valid (left unmapped).", LONG),
    Message("key type {} registered", 40),
    Message("RPC: server {} requires stronger authentication.", NAME),
    Message("FAULT_INJECTION: forcing a failure. name {}, interval 1", 30),
    Message("           a.out-311       0.N.. 16140231us : bpf_trace_printk: {}", 512),  # kernel/trace/trace_output.c
    Message("           a.out-311     [003] ....1  1614.231: bpf_trace_printk: {}", 512),
    Message("{:>16}-311       3d.h.. 16140231us : bpf_trace_printk: a", COMM),
)
MESSAGES = (
    *(Message(text, COMM) for text in (*COMM_FIRST, *COMM_LATER)),
    Message("{:<15} D 0000000000000000     0   311      1 0x00000000", COMM),  # kernel/sched/core.c sched_show_task until 5.9
    Message("{:<15} S    0   311      1 0x00000000", COMM),
    *_OTHER,
)


def fill(message: Message, text: bytes) -> bytes:
    """Return the record with `text` in it as far as it fits, as kmsg.parse and journal_entry.parse hand it on: on one line."""
    fitting = text.translate(None, message.without.encode())[: message.limit]
    filled = message.format.format(fitting.decode("latin-1")).encode("latin-1")
    return filled.replace(b"\n", b" ")
