"""micropip's index URLs, and the way back to what they were."""

from __future__ import annotations

from typing import Any, Final, Literal

import micropip
from micropip import package_index

from pyodide_mirror.model import PLACEHOLDER, is_project_name, normalize, project_url

PYPI_URL: Final[str] = package_index.DEFAULT_INDEX_URLS[0]
"""PyPI's index: micropip's first default, before anything of ours can have changed it."""

Prefer = Literal["lockfile", "index"]
"""What micropip asks first: Pyodide's lock file, or the index."""


def has_default_index_urls() -> bool:
    """Whether nobody has told micropip where to look."""
    return current_index_urls() == list(package_index.DEFAULT_INDEX_URLS)


def current_index_urls() -> list[str]:
    """Where micropip looks projects up now."""
    manager: Any = micropip.set_index_urls.__self__  # type: ignore[attr-defined]
    return list(manager.index_urls)


def tell_index_urls(urls: list[str]) -> None:
    """Let micropip look projects up there, as its user has told it."""
    micropip.set_index_urls(urls)


class IndexUrls:
    """Sets micropip's index URLs, and puts back what was there before.

    ``given``: the URLs that micropip has from us now.
    """

    def __init__(self) -> None:
        self.given: tuple[str, ...] = ()
        self._earlier: set[str] = set()
        self._before: tuple[list[str], list[str]] | None = None
        self._ours: tuple[list[str], list[str]] | None = None

    def use(self, urls: list[str], prefer: Prefer) -> None:
        """Let micropip look projects up there.

        micropip asks Pyodide's lock file first only when its index URLs are its default ones; so
        to keep that order the default has to be the same list.
        """
        if self._before is None:
            self._before = self._current()
        self.given = tuple(urls)
        self._earlier.update(urls)
        defaults = list(self._before[1])
        if prefer == "lockfile":
            defaults = list(urls)
        elif urls == defaults:
            # They are micropip's default: named twice they are not *equal* to it any more.
            urls = urls * 2
        micropip.set_index_urls(urls)
        package_index.DEFAULT_INDEX_URLS[:] = defaults
        self._ours = (urls, defaults)

    def project_of(self, url: str, *, earlier: bool) -> str | None:
        """The normalized name of the project whose page this is below a URL of ours, or None.

        ``earlier``: also below those that micropip had from us before, and those that it has now,
        as an install of ours may ask that was running when they changed.
        """
        also = {*self._earlier, *self._current()[0]} if earlier else set()
        for index_url in {*self.given, *also}:
            start, placeholder, rest = index_url.partition(PLACEHOLDER)
            end = rest.partition(PLACEHOLDER)[0] if placeholder else "/"
            name = url[len(start) if placeholder else len(start) + 1 :]
            name = name.partition(end)[0] if end else name
            if is_project_name(name) and project_url(index_url, name) == url:
                return normalize(name)
        return None

    def is_ours(self) -> bool:
        """Whether micropip still has what :meth:`use` gave it."""
        return self._ours is not None and self._current()[0] == self._ours[0]

    def restore(self) -> None:
        """Put back what was there before the first :meth:`use`.

        What others have set since stays.
        """
        if self._before is None or self._ours is None:
            return
        urls, defaults = self._current()
        if urls == self._ours[0]:
            micropip.set_index_urls(self._before[0])
        if defaults == self._ours[1]:
            package_index.DEFAULT_INDEX_URLS[:] = self._before[1]
        self._before = self._ours = None
        self.given = ()

    @staticmethod
    def _current() -> tuple[list[str], list[str]]:
        return current_index_urls(), list(package_index.DEFAULT_INDEX_URLS)
