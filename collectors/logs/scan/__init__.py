"""Old logs. Files in, events and outages out; `daemon/cli/scan` runs it.

`archive` and `blocks` read files as blocks of whole lines, `parts` matches one part of a file, `journal_export` reads exports of the
journal, `years` infers missing years, `history` has the totals and joins faults into outages.
"""
