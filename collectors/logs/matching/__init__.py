"""Matching of log lines: signature packs, the hyperscan database, line headers and timestamps."""
