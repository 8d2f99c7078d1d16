"""Diagnosis of a target that turned bad: states of the bad targets in, a Diagnosis for each out, one or two sweeps later.

`runner` gathers facts once for each change of state, `rules` draws the conclusion.
"""
