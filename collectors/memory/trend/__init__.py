"""Trend estimation. In: a window of points; out: a growth rate and whether it is a leak. Pure."""
