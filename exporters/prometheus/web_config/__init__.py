"""Web configuration: TLS, client certificates and basic authentication, reloaded when their files change."""
