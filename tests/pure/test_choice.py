"""The mirror that is remembered, and what is not believed."""

from datetime import UTC, datetime, timedelta

from pyodide_mirror.storage import Choice, MemoryStore

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHOICE = Choice("https://mirror.example/simple", NOW)


def test_a_choice_survives_as_json():
    assert Choice.from_json(CHOICE.to_json()) == CHOICE


def test_what_another_page_has_written_is_not_believed():
    for text in (
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
    ):
        assert Choice.from_json(text) is None, str(text)[:100]


def test_choices_older_than_a_month_and_future_ones_are_not_fresh():
    month, moment = timedelta(days=30), timedelta(seconds=1)
    for later, fresh in (
        (month * 0, True),
        (month, True),
        (month + moment, False),
        (-moment, False),
    ):
        assert CHOICE.is_fresh(NOW + later) == fresh, later


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
    drive(store.save(CHOICE))
    assert drive(store.load()) == CHOICE
    drive(store.forget())
    assert drive(store.load()) is None


def test_a_store_begins_its_work_when_it_is_called():
    store = MemoryStore()
    store.save(CHOICE)  # nobody waits for it
    assert drive(store.load()) == CHOICE
    store.forget()
    assert drive(store.load()) is None
