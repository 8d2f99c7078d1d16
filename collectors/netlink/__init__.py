"""Links, routes and neighbours in depth, by pyroute2 in a child of its own."""
