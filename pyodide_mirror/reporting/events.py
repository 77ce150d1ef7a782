"""The events of an install, and what it has added."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from pyodide_mirror.model import Outcome, printable

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

EventKind = Literal[
    "outcome",  # a verdict was reached
    "chosen",  # this mirror is used
    "page",  # a project page was read
    "repaired",  # a page, or its promise of metadata, had to be repaired
    "progress",  # some more bytes of a file are here, or what a version requires is read
    "file",  # a file was read and verified
    "kept",  # a cached page stands in for one that cannot be read now
    "unpacked",  # a distribution is installed
    "retry",  # a busy mirror is asked again
    "problem",  # a mirror has no usable page or file
    "failover",  # a file came from another mirror
    "again",  # micropip runs again, with another page
    "resolved",  # other versions were chosen, because what micropip chose does not fit together
    "extra",  # a package does not have an extra that is asked for
    "closure",  # something that is required was missing after the install
    "undone",  # what a failed install had added was uninstalled
]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened during an install; ``text`` says it in a sentence.

    ``kind``: see :data:`EventKind`; reports leave out ``progress``. ``mirror``: index URL, if it
    is about a mirror. ``size``: bytes; for ``progress``, those that are here, of ``total``, where
    the page gives that.
    """

    __module__ = "pyodide_mirror"  # where users find it

    kind: EventKind
    text: str
    mirror: str = ""
    url: str = ""
    size: int | None = None
    total: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {**asdict(self), "text": printable(self.text)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A distribution that an install has added or changed.

    ``source``: where it came from. ``mirror``: index URL. ``url``, ``sha256`` (hexadecimal) and
    ``size`` (bytes) are those of the file; None or empty where they are not known, as for packages
    of Pyodide's lock file.
    """

    __module__ = "pyodide_mirror"

    name: str
    version: str
    source: Literal["mirror", "cache", "lockfile", "url"]
    mirror: str = ""
    url: str = ""
    sha256: str = ""
    size: int | None = None

    @property
    def place(self) -> str:
        """Where it came from, for people: the mirror's index URL, or the kind of source."""
        return self.mirror if self.source == "mirror" else self.source

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


WATCHERS: list[Callable[[Any], None]] = []
"""Functions that are told of all that goes on here: events, verdicts and reports."""


def broadcast(value: object) -> None:
    """Tell all watchers; their exceptions are logged."""
    for watch in WATCHERS:
        notify(watch, value)


class EventLog:
    """Collects the events of one install, and passes them on."""

    def __init__(self, on_event: Callable[[Event], None] | None) -> None:
        self.all: list[Event] = []
        self._on_event = on_event

    def add(self, event: Event) -> None:
        """Add an event, and pass it to the user's function."""
        if event.kind != "progress":
            self.all.append(event)
        notify(self._on_event, event)
        broadcast(event)

    def on_outcome(self, outcome: Outcome) -> None:
        """Add a verdict."""
        text = f"{outcome.mirror.name}: {outcome.verdict} ({outcome.detail})"
        self.add(Event("outcome", text, outcome.mirror.index_url))
        broadcast(outcome)

    def problems(self) -> list[str]:
        """What went wrong, in words."""
        return [event.text for event in self.all if event.kind in {"problem", "kept"}]


def notify(watch: Callable[..., None] | None, value: object) -> None:
    """Call the user's function, if there is one; its exceptions are logged, and stop nothing."""
    if watch is None:
        return
    try:
        watch(value)
    except Exception:  # noqa: BLE001  # it is the user's
        _log.exception("the function that watches %s failed", type(value).__name__)
