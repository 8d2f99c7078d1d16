"""Netlink: framing, link and address tables with their events, routes, and link details by pyroute2 in a helper process."""
