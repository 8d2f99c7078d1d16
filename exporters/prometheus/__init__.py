"""Prometheus exporter. In: reports. Out: the scrape at `/metrics`, the status page at `/`, alert rules and a dashboard.

`exporter.py` is what the daemon starts, `routes.py` maps paths to responses. `exposition/` renders reports, `http/` is the server,
`web_config/` its TLS and authentication, `status_page/` the HTML page, `rules/` and `dashboard.json` are for Prometheus and Grafana.
"""
