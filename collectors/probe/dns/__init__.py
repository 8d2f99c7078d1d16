"""Name resolution for targets given by name, and statistics over the addresses of one name."""
