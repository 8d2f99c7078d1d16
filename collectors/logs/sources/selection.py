"""Who is listened to where. Each signature is counted from one source only, so no event can be counted from two. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from collectors.logs.matching.matcher import allow_program_tag
from collectors.logs.tailing.paths import matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.logs.matching.header import Header
    from collectors.logs.matching.packs import Signature
    from collectors.logs.sources.event import Allow

NONE = "none"


class SourceUnavailable(NamedTuple):
    """Why a source is not read: a word of a closed set (`missing permission off failing`), and a sentence."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class SourceSelection:
    """`kernel` is kmsg, journal or nowhere; `programs` is journal, files or nowhere; `files` are the configured paths and globs."""

    kernel: str
    programs: str
    files: tuple[str, ...]


def choose(*, kmsg: bool, journal: bool, files: Sequence[str]) -> SourceSelection:
    """Choose by what there is. Files are never asked for the kernel's words: any local user can write a line that begins with `kernel:`."""
    kernel = "kmsg" if kmsg else "journal" if journal else NONE
    programs = "journal" if journal else "files" if files else NONE
    return SourceSelection(kernel, programs, tuple(files))


def turned(choice: SourceSelection, *, journal: bool) -> SourceSelection:
    """Choose anew when the journal came or went. The kernel's words wait for a journal that is away: no file is believed for them."""
    if journal:
        return replace(choice, programs="journal", kernel="journal" if choice.kernel == NONE else choice.kernel)
    return replace(choice, programs="files" if choice.files else choice.programs)


def patterns(choice: SourceSelection, signatures: Sequence[Signature]) -> list[str]:
    """Give the paths and globs that must be followed for somebody's words: those of users' signatures, and the common ones where needed."""
    wanted: dict[str, None] = {}
    for signature in signatures:
        if signature.files:
            wanted.update(dict.fromkeys(signature.files))
        elif choice.programs == "files" or signature.source.is_unrestricted:
            wanted.update(dict.fromkeys(choice.files))
    return list(wanted)


def rule(choice: SourceSelection, signatures: Sequence[Signature], path: str) -> Allow:
    """Give what may be counted in a file: signatures that name it, and in the common files those without a source and those of programs."""
    common = matches(path, choice.files)
    allowed = {
        signature.id
        for signature in signatures
        if (
            matches(path, signature.files)
            if signature.files
            else common and (choice.programs == "files" or signature.source.is_unrestricted)
        )
    }

    def allow(signature: Signature, header: Header) -> bool:
        return signature.id in allowed and allow_program_tag(signature, header)

    return allow
