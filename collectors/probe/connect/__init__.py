"""TCP connects: the sweep over all targets, its results, and the classification of failed connects."""
