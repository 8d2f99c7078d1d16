"""Text exposition. In: reports and an `Accept` header. Out: the body of a scrape, and the series that had to be left out, counted."""
