"""Checks of one interface: pure functions from a reading's parts to verdicts."""
