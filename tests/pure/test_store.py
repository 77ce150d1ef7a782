"""What is remembered, and what is not believed."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from pyodide_mirror.storage import Choice, MemoryStore
from pyodide_mirror.storage.choice import FRESH

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHOICE = Choice("https://mirror.example/simple", NOW)


def test_a_choice_survives_as_json():
    assert Choice.from_json(CHOICE.to_json()) == CHOICE


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "{",
        "[]",
        "{}",
        '{"index_url": 7, "date": "2026-01-01T00:00:00+00:00"}',
        '{"index_url": "https://x.example", "date": "yesterday"}',
        '{"index_url": "https://x.example", "date": "2026-01-01T00:00:00"}',
        '{"index_url": "https://x.example", "date": 7}',
        '"' + "x" * 5000 + '"',
        "[" * 4000,
    ],
)
def test_what_another_page_has_written_is_not_believed(text):
    assert Choice.from_json(text) is None


def test_old_and_future_choices_are_not_fresh():
    assert CHOICE.is_fresh(NOW)
    assert CHOICE.is_fresh(NOW + FRESH)
    assert not CHOICE.is_fresh(NOW + FRESH + timedelta(seconds=1))
    assert not CHOICE.is_fresh(NOW - timedelta(seconds=1))


def drive(awaitable):
    """The result of something that never really waits, without an event loop."""
    steps = awaitable.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


def test_memory_keeps_one_choice():
    store = MemoryStore()
    assert drive(store.load()) is None
    store.save(CHOICE)
    assert drive(store.load()) == CHOICE
    store.forget()
    assert drive(store.load()) is None
    assert asyncio.iscoroutine(store.load()) is False
