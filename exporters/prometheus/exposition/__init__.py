"""Text exposition: reports as metric families, label escaping, and content negotiation."""
