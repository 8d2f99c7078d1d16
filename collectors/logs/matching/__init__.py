"""Matching of log lines. Signature packs and blocks of lines in, matches out.

`packs` loads and checks the TOML packs (`pattern`, `hostile_lines`, `samples`), `pack_reloader` reloads them. `database` compiles them
for hyperscan in a helper process (`compile_database`). `matcher` finds matches, with `header` and `timestamps` for the line's header.
"""
