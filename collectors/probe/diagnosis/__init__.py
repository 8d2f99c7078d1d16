"""Diagnosis of a target that turned bad: what is measured once, and what follows from it."""
