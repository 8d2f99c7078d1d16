"""Content negotiation: the exposition format by `Accept`, gzip by `Accept-Encoding` (RFC 9110, 12.5)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import ALLOWUTF8

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Encoder = Callable[[Any], bytes]

OPENMETRICS = "application/openmetrics-text"
_TEXT = ("text/plain", "text/*", "*/*")
_MAX_HEADER = 1024  # characters that are parsed; Prometheus sends 250


class Format(NamedTuple):
    """An exposition format: prometheus_client's encoder and the Content-Type that goes with it."""

    content_type: str
    encode: Encoder


def negotiate_format(accept: str) -> Format:
    """Choose the client's preferred format among text 0.0.4, text 1.0.0 and OpenMetrics 1.0.0; text 0.0.4 if it accepts none of them."""
    for media, parameters in _by_preference(accept):
        version, escaping = parameters.get("version", ""), parameters.get("escaping", "")
        if media in _TEXT and version != "1.0.0":
            return _format("")
        if media in (OPENMETRICS, "text/plain") and version in ("", "1.0.0"):
            return _format(media + f";version={version}" * bool(version) + f";escaping={ALLOWUTF8}" * (escaping == ALLOWUTF8))
    return _format("")


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether the client accepts gzip; `gzip;q=0` means that it does not."""
    accepted = dict(_by_preference(accept_encoding, with_refused=True))
    parameters = accepted.get("gzip", accepted.get("*"))
    return parameters is not None and _quality(parameters) > 0


@cache  # of the few headers that `negotiate_format` may write
def _format(accept: str) -> Format:
    encoder, content_type = choose_encoder(accept)
    function: Any = getattr(encoder, "func", encoder)
    # All our names are plain, so no escaping changes them; this one is the only one that does not check them letter by letter.
    return Format(content_type, lambda registry: function(registry, escaping=ALLOWUTF8))


def _by_preference(header: str, *, with_refused: bool = False) -> list[tuple[str, dict[str, str]]]:
    """Split a header into its elements with their parameters, the preferred first; equal ones in the client's order."""
    elements = []
    for element in header[:_MAX_HEADER].lower().split(","):
        name, *rest = (part.strip() for part in element.split(";"))
        parameters = {key.strip(): value.strip().strip('"') for key, _, value in (part.partition("=") for part in rest)}
        if with_refused or _quality(parameters) > 0:
            elements.append((name, parameters))
    return sorted(elements, key=lambda element: -_quality(element[1]))


def _quality(parameters: dict[str, str]) -> float:
    """Parse `q`; 1 if it is missing or no number."""
    text = parameters.get("q", "1")
    return float(text) if text.replace(".", "", 1).isdecimal() and text.isascii() else 1.0
