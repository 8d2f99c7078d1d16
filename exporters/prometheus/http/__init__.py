"""HTTP/1.1 server: one thread, one epoll instance, a bounded connection table."""
