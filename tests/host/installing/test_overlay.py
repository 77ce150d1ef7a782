"""Files that several installs write, and what is there in the end."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyodide_mirror.installing.overlay import Overlay


class Place:
    """A path that installs write, and the overlay that sees it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "package" / "part.py"
        self.overlay = Overlay()

    def write(self, owner: str) -> None:
        """Write as the unpacking of a wheel does."""
        self.overlay.cover([str(self.path)], owner)
        self.put(owner)
        self.overlay.settle([str(self.path)], owner)

    def put(self, text: str) -> None:
        """Write, and tell nobody."""
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(text)

    def keep(self, owner: str) -> None:
        self.overlay.keep([str(self.path)], owner)

    def undo(self, owner: str) -> None:
        self.overlay.take_away([str(self.path)], owner)

    @property
    def text(self) -> str:
        return self.path.read_text() if self.path.exists() else ""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    (tmp_path / "site").mkdir()
    (tmp_path / "aside").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "aside"))
    monkeypatch.syspath_prepend(tmp_path / "site")
    made = Place(tmp_path / "site")
    yield made
    assert list((tmp_path / "aside").iterdir()) == []


@pytest.mark.parametrize("before", ["", "before"])
@pytest.mark.parametrize(
    ("ends", "left"),
    [
        ("+one +two", "two"),
        ("+two +one", "two"),
        ("+one -two", "one"),
        ("-two +one", "one"),
        ("-one +two", "two"),
        ("+two -one", "two"),
        ("-one -two", ""),
        ("-two -one", ""),
    ],
)
def test_of_two_that_write_the_same_file(place: Place, before: str, ends: str, left: str) -> None:
    owners = {"one": "one", "two": "two"}  # which are told apart by what they are
    if before:
        place.put(before)
    place.write(owners["one"])
    place.write(owners["two"])
    for end in ends.split():
        (place.keep if end[0] == "+" else place.undo)(owners[end[1:]])
    assert place.text == (left or before)
    assert place.path.parent.exists() == bool(left or before)


def test_what_somebody_else_has_written_since_stays(place: Place) -> None:
    place.put("before")
    place.write("one")
    place.put("somebody")
    place.overlay.written_by_others([str(place.path)])
    place.undo("one")
    assert place.text == "somebody"


def test_what_gives_way_to_nothing_comes_back(place: Place) -> None:
    place.put("before")
    place.overlay.cover([str(place.path)], "one")
    assert place.text == ""
    place.overlay.settle([str(place.path)], "one")
    assert place.text == "before"
    place.keep("one")


def test_what_is_compiled_goes_with_its_source(place: Place) -> None:
    compiled = place.path.parent / "__pycache__" / "part.cpython-314.pyc"
    place.write("one")
    compiled.parent.mkdir()
    compiled.touch()
    place.undo("one")
    assert not place.path.parent.exists()
