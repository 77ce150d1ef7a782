"""A mirror: a package index that may be used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from .text import is_http_token, normalize
from .urls import check_index_template, hide_user_info, origin, project_url

Credentials = Literal["omit", "same-origin", "include"]
"""The Fetch standard's credentials modes."""
PYPI: Final = "PYPI"
"""micropip's word for PyPI's index."""
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """A package index that may be used.

    ``index_url``: as micropip takes it: PEP 503's base URL, http or https, without query, fragment
    or credentials (trailing slashes are removed); or a URL with ``{package_name}`` in its path,
    which stands for the project; or ``PYPI``. ``name``: for people; the host when empty.
    ``region``: where it stands. ``private``: its failure must never lead to another mirror.
    ``projects``: :mod:`fnmatch` patterns of normalized names that this index alone may answer.
    ``headers``: sent with each request to the index's own origin (they cost a CORS preflight);
    never shown or stored. ``credentials``: the Fetch standard's mode for cookies. ``note``: what is
    known of it.

    Raises TypeError or ValueError, which name the argument.
    """

    __module__ = "pyodide_mirror"  # where users find it

    index_url: str = field(kw_only=False)
    name: str = ""
    region: str = ""
    private: bool = False
    projects: tuple[str, ...] = ()
    headers: Mapping[str, str] | None = field(default=None, repr=False, hash=False)
    credentials: Credentials = field(default="omit", repr=False)
    note: str = field(default="", repr=False)
    problem: str = field(default="", init=False, repr=False)
    """What is wrong with a URL from the environment or the store."""

    def __post_init__(self) -> None:
        for name in ("index_url", "name", "region", "note"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise TypeError(f"{name} must be a string, not {type(value).__name__}")
        if not isinstance(self.private, bool):
            raise TypeError("private must be True or False")
        if self.index_url == PYPI:
            self._set("index_url", _pypi_url())
            self._set("name", self.name or "PyPI")
        self._set("index_url", check_index_template(self.index_url))
        self._set("name", self.name or urlsplit(self.index_url).netloc)
        self._set("projects", _checked_projects(self.projects))
        self._set("headers", _checked_headers(self.headers))
        if self.credentials not in get_args(Credentials):
            raise ValueError(f"credentials must be one of {get_args(Credentials)}")

    @classmethod
    def from_untrusted(cls, text: str) -> Mirror:
        """A mirror of a URL from elsewhere; a bad one has a ``problem``."""
        try:
            return cls(text)
        except ValueError as error:
            bad = cls("https://bad-url.invalid", name=hide_user_info(text))
            bad._set("index_url", hide_user_info(text))
            bad._set("problem", str(error))
            return bad

    @property
    def is_exclusive(self) -> bool:
        """Whether no other mirror may answer where this one fails."""
        return self.private or bool(self.projects)

    def names(self, project: str) -> bool:
        """Whether a project, by its normalized name, is one of this mirror's own."""
        return any(fnmatchcase(project, pattern) for pattern in self.projects)

    def project_url(self, project: str) -> str:
        """URL of a project's page, by its normalized name."""
        return project_url(self.index_url, project)

    def headers_for(self, url: str) -> Mapping[str, str]:
        """The mirror's own headers, for URLs of its origin only: they may hold a password."""
        if self.headers is None or not self._is_at(url):
            return _NO_HEADERS
        return self.headers

    def credentials_for(self, url: str) -> Credentials:
        """The credentials mode for a URL; cookies go to the mirror's own origin only."""
        return self.credentials if self._is_at(url) else "omit"

    def _is_at(self, url: str) -> bool:
        return origin(url) == origin(self.index_url)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


def _pypi_url() -> str:
    from micropip import package_index

    return str(package_index.PYPI_URL)


def _checked_projects(projects: object) -> tuple[str, ...]:
    if isinstance(projects, str) or not hasattr(projects, "__iter__"):
        raise TypeError("projects must be a sequence of patterns, like ('acme-*',)")
    patterns = tuple(projects)
    if not all(isinstance(pattern, str) and pattern for pattern in patterns):
        raise TypeError("projects must hold non-empty strings")
    return tuple(map(normalize, patterns))


def _checked_headers(headers: object) -> Mapping[str, str] | None:
    if headers is None:
        return None
    if not isinstance(headers, Mapping):
        raise TypeError("headers must be a mapping of names to values, or None")
    for name, value in headers.items():
        # The value is not repeated: it may be a password.
        if not isinstance(name, str) or not is_http_token(name):
            raise ValueError(f"headers: {name!r} is not a header name (RFC 9110)")
        if not isinstance(value, str) or not re.fullmatch(r"[\x20-\x7e]*", value):
            raise ValueError(f"headers: the value of {name!r} is not a printable ASCII string")
    return MappingProxyType(dict(headers))
