"""What everybody may read where the rest needs a login, because pages need it before they have one.

A page can give a login to `fetch` only, so what it imports or what micropip loads by itself would
be lost to it: the wheels of this very package, and Pyodide as it was released. Neither is a secret.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .own_wheel import PROJECT
from .source import DeniedError, UnreadableError

if TYPE_CHECKING:
    from pyodide_mirror.server.releases import Releases

    from .own_wheel import OwnWheel
    from .repository import Repository

HEALTH: Final = "/healthz"
_RELEASE: Final = re.compile(r"/pyodide/v([^/]{1,40})/full/[^/]*")
_OWN: Final = re.compile(
    rf"(/pypi)?/simple//?{PROJECT}/|/files/[0-9a-z]{{1,20}}/{PROJECT}/[^/]{{1,200}}"
)


class PublicParts:
    """Tells of a path whether everybody may read it."""

    def __init__(self, repository: Repository, own_wheel: OwnWheel, releases: Releases) -> None:
        self._repository = repository
        self._own_wheel = own_wheel
        self._releases = releases

    async def __call__(self, path: str) -> bool:
        """Whether a path below the server's own is one that everybody may read."""
        if path == HEALTH:  # which says little then
            return True
        try:
            if release := _RELEASE.fullmatch(path):
                return await self._releases.is_published(release[1])
            if _OWN.fullmatch(path):
                # A folder may have another project of that name, which is then served instead.
                return (await self._repository.find(PROJECT)).source is self._own_wheel
        except (UnreadableError, DeniedError, LookupError):
            return False
        return self._own_wheel.find(path[1:]) is not None
