"""Status page. In: a `Status` (host facts, findings, the collectors' panels). Out: the HTML document at `/`."""
