"""Path MTU collector: the probe collector's targets in, the largest packet that reaches each and black holes out."""
