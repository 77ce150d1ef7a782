"""Names that a package hands on are loaded when they are first used."""

import importlib
import sys

import pytest

ROOM = '''\
"""A room."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .first import ONE, TWO as TWO
    from .second import (
        THREE,
        four,
    )
    from .missing import LOST

__getattr__, __dir__, __all__ = hand_on(__name__)
'''


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A package of its own with two modules, that is forgotten afterwards."""
    folder = tmp_path / "a_lazy_room"
    folder.mkdir()
    (folder / "__init__.py").write_text(ROOM)
    (folder / "first.py").write_text("ONE, TWO, HIDDEN = 1, 2, 3\n")
    (folder / "second.py").write_text("THREE = [3]\ndef four(): return 4\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield importlib.import_module("a_lazy_room")
    for name in [name for name in sys.modules if name.partition(".")[0] == "a_lazy_room"]:
        del sys.modules[name]


def loaded():
    return {name.partition(".")[2] for name in sys.modules if name.startswith("a_lazy_room.")}


def test_importing_a_room_loads_none_of_its_modules(room):
    assert loaded() == set()


def test_a_name_loads_its_own_module_and_no_other(room):
    assert room.ONE == 1
    assert loaded() == {"first"}
    assert room.four() == 4
    assert loaded() == {"first", "second"}


def test_a_name_is_the_same_each_time_and_is_looked_up_once(room):
    assert room.THREE is room.THREE
    assert "THREE" in vars(room)
    assert "ONE" not in vars(room)


def test_all_names_are_told_before_any_is_loaded(room):
    names = ["LOST", "ONE", "THREE", "TWO", "four"]
    assert room.__all__ == names
    assert set(names) < set(dir(room))
    assert loaded() == set()


def test_what_is_not_handed_on_is_not_there(room):
    for name in ("HIDDEN", "nothing", "TYPE"):
        with pytest.raises(AttributeError, match=f"'a_lazy_room' has no attribute '{name}'"):
            getattr(room, name)
    with pytest.raises(ImportError, match="HIDDEN"):
        from a_lazy_room import HIDDEN  # noqa: F401


def test_a_module_that_cannot_be_loaded_is_an_error_of_its_own(room):
    with pytest.raises(ModuleNotFoundError, match="missing"):
        room.LOST  # noqa: B018  # the value under test
