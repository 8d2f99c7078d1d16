"""What to probe: settings and files in, targets with their labels out.

`target` parses one, `file_sd` and `target_files` read lists, `mesh` selects peers from a fleet's list, `sources` joins them all.
"""
