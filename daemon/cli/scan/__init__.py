"""`vitald scan`: `command` runs `workers` over the parts of files; `report` and `openmetrics` print the result."""
