"""A CDN: a place with a copy of the Pyodide distribution; and the verdict on one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from .urls import hide_user_info, origin, split_http_url

if TYPE_CHECKING:
    from .reason import Reason, Support

_VERSION: Final = "{version}"
_MARK: Final = "-version-"


@dataclass(frozen=True, slots=True, kw_only=True)
class CDN:
    """A place with a copy of the Pyodide distribution.

    ``base_url``: the http or https URL of the folder that the files are in, without query, fragment
    or credentials; ``{version}`` in its path stands for Pyodide's version. ``name``: for people;
    the host when empty. ``region``: where it stands. ``note``: what is known of it.

    Raises TypeError or ValueError, which name the argument.
    """

    __module__ = "pyodide_mirror"  # where users find it

    base_url: str = field(kw_only=False)
    name: str = ""
    region: str = ""
    note: str = field(default="", repr=False)
    problem: str = field(default="", init=False, repr=False)
    """What is wrong with a URL from the environment."""

    def __post_init__(self) -> None:
        for name in ("base_url", "name", "region", "note"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise TypeError(f"{name} must be a string, not {type(value).__name__}")
        self._set("base_url", check_base_url(self.base_url))
        self._set("name", self.name or urlsplit(self.base_url).netloc)

    @classmethod
    def from_untrusted(cls, text: str) -> CDN:
        """A CDN of a URL from elsewhere; a bad one has a ``problem``."""
        try:
            return cls(text)
        except ValueError as error:
            bad = cls("https://bad-url.invalid/", name=hide_user_info(text))
            bad._set("base_url", hide_user_info(text))
            bad._set("problem", str(error))
            return bad

    def url(self, file_name: str, version: str) -> str:
        """The URL of a file of that version of Pyodide."""
        return self.base_url.replace(_VERSION, version) + file_name

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


def check_base_url(text: str) -> str:
    """A usable base URL, which ends in a slash; ValueError says what is wrong with it."""
    try:
        if _VERSION in text.partition("://")[2].partition("/")[0]:
            raise ValueError(f"{_VERSION} is not in its path")
        parts = split_http_url(text.replace(_VERSION, _MARK))
        if "?" in text or "#" in text:
            raise ValueError("it has a query or a fragment")
    except ValueError as error:
        shown = hide_user_info(text)
        raise ValueError(f"not a usable base URL of a CDN: {shown!r}: {error}") from None
    path = parts.path.replace(_MARK, _VERSION)
    return f"{origin(parts)}{path.rstrip('/')}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class CDNOutcome:
    """The verdict on a CDN.

    ``reason``: why it can, or cannot, be used. ``elapsed_ms``: milliseconds from the first request
    to the verdict. ``detail``: what was seen. ``hint``: what to do about it.
    """

    __module__ = "pyodide_mirror"  # where users find it

    cdn: CDN
    reason: Reason
    elapsed_ms: float = 0.0
    detail: str = ""
    hint: str = ""

    @property
    def repairs(self) -> tuple[Reason, ...]:
        """Files are what they are: nothing of a CDN can be repaired."""
        return ()

    @property
    def support(self) -> Support:
        """Whether the CDN can be used."""
        return self.reason.support

    @property
    def verdict(self) -> str:
        """The reason, as it is shown."""
        return str(self.reason)
