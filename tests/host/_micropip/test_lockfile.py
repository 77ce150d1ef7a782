"""The packages of Pyodide's lock file, and which of them micropip does not see."""

from collections.abc import Iterator

import pytest

from pyodide_mirror._micropip import hidden_from_lockfile, lockfile

PACKAGES = {"zone": {"version": "1.0"}, "Z_Two": {"version": "2.0"}}


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """What micropip sees."""
    seen: dict[str, object] = dict(PACKAGES)
    monkeypatch.setattr(lockfile, "_lockfile_packages", lambda: seen)
    yield seen
    assert seen == PACKAGES


def test_some_are_hidden_by_their_normalized_names(packages: dict[str, object]) -> None:
    with hidden_from_lockfile("z-two".__eq__):
        assert list(packages) == ["zone"]


def test_what_two_installs_hide_is_hidden_until_both_have_ended(
    packages: dict[str, object],
) -> None:
    one, two = hidden_from_lockfile("zone".__eq__), hidden_from_lockfile(lambda _: True)
    one.__enter__()
    two.__enter__()
    assert list(packages) == []
    one.__exit__(None, None, None)
    assert list(packages) == []
    two.__exit__(None, None, None)
