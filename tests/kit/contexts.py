"""Contexts of collectors for tests."""

from __future__ import annotations

from collectors.model import CollectorContext


class LiveContext(CollectorContext):
    """Roots with a test's files that count as this host's own, so that its kernel and its network are asked as well."""

    is_recorded = False
