"""`vitald probe`: TCP ping, path MTU and traceroute on the command line."""
