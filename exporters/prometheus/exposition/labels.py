"""Label values: every one is cleaned here, since a single lone surrogate would make a whole scrape fail, and limited in length.

Their number is limited before (collectors/cardinality.py).
"""

from __future__ import annotations

from hashlib import blake2b

from collectors.text import printable

LIMIT = 256  # characters; Prometheus' default is no limit, that of most remote stores lies between 1024 and 2048 bytes
_KEPT = LIMIT - 14


def clean(value: str) -> str:
    r"""Return the value as printable UTF-8 of at most `LIMIT` characters; the same object if it is so already.

    Characters that do not print are escaped as in Python (U+2028 as `\u2028`, a byte that was no UTF-8 as `\xff`). A
    value that is too long is cut and ends with a digest of the whole, so that different values stay different. Quotes and backslashes
    are printable: the exposition format has its own escapes for them.
    """
    if len(value) <= LIMIT and value.isprintable():
        return value
    text = printable(value[:LIMIT])
    if len(value) <= LIMIT and len(text) <= LIMIT:
        return text
    digest = blake2b(value.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return f"{text[:_KEPT]}…~{digest}"
