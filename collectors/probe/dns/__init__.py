"""Look-ups beside the sweep: names in, addresses or the result of a failed look-up out; and the statistics of names."""
