"""Log sources: /dev/kmsg, the journal and log files in; events, counted losses and statistics out (`event`).

`sources` opens what `selection` selects: at most one kernel log (`kernel_source`, `kmsg`), one journal (`journal_source`, `journal`,
`journal_entry`, `journal_availability`) and files (`file_source`).
"""
