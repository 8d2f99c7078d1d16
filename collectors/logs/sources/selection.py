"""Selection of the source of each origin's lines. Each signature is counted from one source only, so no event is counted twice. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from collectors.logs.matching.matcher import allow_program_tag
from collectors.logs.sources.own_lines import is_own_line
from collectors.logs.tailing.paths import path_matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.logs.matching.header import Header
    from collectors.logs.matching.packs import Signature
    from collectors.logs.sources.event import Allow

NONE = "none"


class SourceUnavailable(NamedTuple):
    """Why a source is not read: a reason of a closed set (`missing permission off failing`), and a sentence."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class SourceSelection:
    """`kernel` is kmsg, journal or none; `programs` is journal, files or none; `files` are the configured paths and globs."""

    kernel: str
    programs: str
    files: tuple[str, ...]


def select(*, kmsg: bool, journal: bool, files: Sequence[str]) -> SourceSelection:
    """Select from the available sources. Files are no source of kernel lines: any local user can write one that begins with `kernel:`."""
    kernel = "kmsg" if kmsg else "journal" if journal else NONE
    programs = "journal" if journal else "files" if files else NONE
    return SourceSelection(kernel, programs, tuple(files))


def reselect(selection: SourceSelection, *, journal: bool) -> SourceSelection:
    """Select again after the journal became available or unavailable. Kernel lines are never read from files instead."""
    if journal:
        return replace(selection, programs="journal", kernel="journal" if selection.kernel == NONE else selection.kernel)
    return replace(selection, programs="files" if selection.files else selection.programs)


def patterns_to_follow(selection: SourceSelection, signatures: Sequence[Signature]) -> list[str]:
    """Return the paths and globs to follow: those that signatures name, and the configured ones where a signature is counted in them."""
    patterns: dict[str, None] = {}
    for signature in signatures:
        if signature.files:
            patterns.update(dict.fromkeys(signature.files))
        elif selection.programs == "files" or signature.source.is_unrestricted:
            patterns.update(dict.fromkeys(selection.files))
    return list(patterns)


def file_filter(selection: SourceSelection, signatures: Sequence[Signature], path: str) -> Allow:
    """Return the filter of a file: signatures that name it, and in the configured files unrestricted ones and those of programs."""
    configured = path_matches(path, selection.files)
    allowed = {
        signature.id
        for signature in signatures
        if (
            path_matches(path, signature.files)
            if signature.files
            else configured and (selection.programs == "files" or signature.source.is_unrestricted)
        )
    }

    def allow(signature: Signature, header: Header) -> bool:
        return signature.id in allowed and allow_program_tag(signature, header) and not is_own_line(header)

    return allow
