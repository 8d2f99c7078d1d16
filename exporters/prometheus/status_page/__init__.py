"""Status page: the HTML document at `/`."""
