"""Checks of one interface: pure functions from a reading to verdicts."""
