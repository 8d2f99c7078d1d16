"""Reports as Prometheus families, and the HTTP server that Prometheus scrapes."""
