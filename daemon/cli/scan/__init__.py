"""`vitald scan`: old logs through the signature packs."""
