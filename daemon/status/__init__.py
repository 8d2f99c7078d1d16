"""State of the host as the daemon knows it: findings, with those that are unknown, and collectors.

In: the board and the jobs. Out: the content of the status page and of `vitald status`, and the line of `systemctl status`.
"""
