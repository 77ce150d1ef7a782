"""The mirror that was chosen, and when, remembered across page loads."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator

FRESH: Final = timedelta(days=30)
"""How long a remembered choice is put before the other mirrors."""
_LONGEST: Final = 4096
_MAX_BRACKETS: Final = 8


class Choice(NamedTuple):
    """The mirror that was chosen, by its index URL, and when it was verified (UTC)."""

    index_url: str
    date: datetime

    def is_fresh(self, now: datetime) -> bool:
        """Whether it is recent; a date in the future is not trusted."""
        return timedelta(0) <= now - self.date <= FRESH

    def to_json(self) -> str:
        """For :meth:`from_json`."""
        return json.dumps({"index_url": self.index_url, "date": self.date.isoformat()})

    @classmethod
    def from_json(cls, text: object) -> Choice | None:
        """Read what any script of this origin may have written; None if it is no choice."""
        with suppress(ValueError, KeyError, TypeError, OverflowError):
            record = read_flat_json(text, _LONGEST) if isinstance(text, str) else {}
            index_url, date = record["index_url"], datetime.fromisoformat(record["date"])
            if isinstance(index_url, str) and date.tzinfo is not None:
                return cls(index_url, date.astimezone(UTC))
        return None


class ChoiceStore(Protocol):
    """Stores one choice.

    Each method starts its work when it is called; who awaits its result waits for the end. None
    raises: where nothing can be stored nothing is remembered, and a warning is logged.
    """

    def read_ahead(self) -> None:
        """Begin with the next :meth:`load`."""

    def load(self) -> Awaitable[Choice | None]:
        """The remembered choice, or None."""

    def save(self, choice: Choice) -> Awaitable[None]:
        """Remember this one instead of the one before."""

    def forget(self) -> Awaitable[None]:
        """Remember nothing."""


class MemoryStore:
    """:class:`ChoiceStore` in the process's memory."""

    def __init__(self) -> None:
        self._choice: Choice | None = None

    def read_ahead(self) -> None:
        """See :class:`ChoiceStore`."""

    def load(self) -> Awaitable[Choice | None]:
        """See :class:`ChoiceStore`."""
        return _Done(self._choice)

    def save(self, choice: Choice) -> Awaitable[None]:
        """See :class:`ChoiceStore`."""
        self._choice = choice
        return _Done(None)

    def forget(self) -> Awaitable[None]:
        """See :class:`ChoiceStore`."""
        self._choice = None
        return _Done(None)


def read_flat_json(text: str, max_length: int) -> Any:
    """Parse JSON that any script may have written.

    Raises ValueError, also for long text, and for nested one, which would overflow the stack.
    """
    if len(text) > max_length or text.count("[") + text.count("{") > _MAX_BRACKETS:
        raise ValueError("too long, or too deep")
    return json.loads(text)


class _Done:
    """An awaitable that has its value already, and needs no event loop."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[None, None, Any]:
        yield from ()
        return self._value
