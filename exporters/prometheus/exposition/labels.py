"""One cleaning function that every label value passes: a single lone surrogate makes a whole scrape fail."""

from __future__ import annotations

from hashlib import blake2b

from collectors.text import printable

LIMIT = 256  # characters; Prometheus' default is no limit, that of most remote stores lies between 1024 and 2048 bytes
_KEPT = LIMIT - 14


def clean(value: str) -> str:
    r"""Give a value that is valid UTF-8, printable and at most `LIMIT` characters long; a usual one comes back as it is.

    What does not print is written as Python would (`\n` as `\x0a`, U+2028 as `\u2028`, a byte that was no UTF-8 as `\xff`); what is
    too long is cut, with a digest of the whole in its place, so that different values stay different. Quotes and backslashes are
    printable: the exposition format has its own escapes for them.
    """
    if len(value) <= LIMIT and value.isprintable():
        return value
    text = printable(value[:LIMIT])
    if len(value) <= LIMIT and len(text) <= LIMIT:
        return text
    digest = blake2b(value.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return f"{text[:_KEPT]}…~{digest}"
