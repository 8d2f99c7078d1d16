"""Trend estimation: points and windows in, a growth rate with its confidence out."""
