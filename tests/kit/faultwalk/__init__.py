"""Fault walk: a program of vitald is run again and again, and each time another of its system calls fails.

In: a scenario (scenarios.py), system calls with their errnos (errnos.py). Out: one `Outcome` per failure (walk.py). A seccomp filter hands
the system calls of one kind to the supervisor (seccomp.py), which answers one of them with an errno; `zygote.py` forks the program.
"""
