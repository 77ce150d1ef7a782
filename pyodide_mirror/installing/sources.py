"""Where a file may be read: under any URL at which a mirror lists it with the same digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pyodide_mirror.model import File

    from .mirror_order import RankedMirror
    from .pages import InstallPages

_MOST_URLS: Final = 4
"""URLs of one mirror under which a file is looked for: a hostile page may list thousands."""


async def sources_of(
    file: File, project: str, ranked: RankedMirror, pages: InstallPages
) -> AsyncGenerator[tuple[RankedMirror, File], None]:
    """The file as its page has it, then the same file on the same mirror, then on the others.

    The same file is one with the same name and the same SHA-256.
    """
    yield ranked, file
    if not file.sha256:
        return
    tried = {file.url: ranked}
    # What a private index cannot deliver must not come from a public one.
    for others in (False,) if ranked.mirror.is_exclusive else (False, True):
        async for other, same in pages.same_file(file, project, ranked, others=others):
            many = list(tried.values()).count(other) >= _MOST_URLS
            if same.sha256 == file.sha256 and same.url not in tried and not many:
                tried[same.url] = other
                yield other, same
