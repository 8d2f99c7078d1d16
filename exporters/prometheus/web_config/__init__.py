"""Web config: TLS, client certificates and basic authentication, reloaded when their files change.

In: the path of a file in the exporter-toolkit's format. Out: a `ServerPolicy` (TLS context, users, headers), or BadInput.
"""
