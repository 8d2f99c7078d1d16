"""Log sources: /dev/kmsg, the journal and log files, and which of them is read for which origin."""
