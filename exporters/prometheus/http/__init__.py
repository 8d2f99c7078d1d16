"""HTTP/1.1 server: one thread, one epoll instance, a bounded connection table.

In: bound sockets, the web config in force, a function from request to response. Out: responses, and the server's own metrics.
"""
