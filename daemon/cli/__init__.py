"""Command line. Each command is a module or a package here and offers `add_arguments(parser)` and `run(arguments) -> exit status`.

`main` holds the table of commands and imports the chosen one only.
"""
