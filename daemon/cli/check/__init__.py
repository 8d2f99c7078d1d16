"""`vitald check`: run every collector once and print findings, as a table with panels or as JSON."""
