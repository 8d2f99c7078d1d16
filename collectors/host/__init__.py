"""Who this host is: the one place for identity."""
