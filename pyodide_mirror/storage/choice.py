"""What is remembered across page loads: the mirror that was chosen, and when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator

FRESH: Final = timedelta(days=30)
"""How long a remembered choice is put in front of the other mirrors."""

_LONGEST: Final = 4096

_MOST_BRACKETS: Final = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Choice:
    """The mirror that was chosen, by its index URL, and when it was verified (UTC)."""

    index_url: str
    date: datetime

    def is_fresh(self, now: datetime) -> bool:
        """Whether it still says something; a date in the future is not to be trusted."""
        return timedelta(0) <= now - self.date <= FRESH

    def to_json(self) -> str:
        """For :meth:`from_json`."""
        return json.dumps({"index_url": self.index_url, "date": self.date.isoformat()})

    @classmethod
    def from_json(cls, text: object) -> Choice | None:
        """Read what any page of this origin may have written; None if it is not ours."""
        if not isinstance(text, str) or len(text) > _LONGEST:
            return None
        if text.count("[") + text.count("{") > _MOST_BRACKETS:
            return None  # deep nesting would overflow the stack
        try:
            record = json.loads(text)
            index_url, date = record["index_url"], datetime.fromisoformat(record["date"])
            if not isinstance(index_url, str) or date.tzinfo is None:
                return None
            return cls(index_url, date.astimezone(UTC))
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            return None


class ChoiceStore(Protocol):
    """Keeps one choice.

    Each method starts its work when it is called and is done when its result is awaited. None
    raises: where nothing can be stored nothing is remembered, and a warning is logged.
    """

    def load(self) -> Awaitable[Choice | None]:
        """The remembered choice, or None."""
        ...

    def save(self, choice: Choice) -> Awaitable[None]:
        """Remember this one instead of the one before."""
        ...

    def forget(self) -> Awaitable[None]:
        """Remember nothing."""
        ...


class MemoryStore:
    """Remembers for as long as the process lives."""

    def __init__(self) -> None:
        self._choice: Choice | None = None

    def load(self) -> Awaitable[Choice | None]:
        """The remembered choice, or None."""
        return _Done(self._choice)

    def save(self, choice: Choice) -> Awaitable[None]:
        """Remember this one instead of the one before."""
        self._choice = choice
        return _Done(None)

    def forget(self) -> Awaitable[None]:
        """Remember nothing."""
        self._choice = None
        return _Done(None)


class _Done(Generic[T]):
    """Awaitable that has its value already; needs no event loop."""

    def __init__(self, value: T) -> None:
        self._value = value

    def __await__(self) -> Generator[None, None, T]:
        yield from ()
        return self._value
