"""Command line: one module or package per command."""
