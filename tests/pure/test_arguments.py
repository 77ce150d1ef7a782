"""Bad arguments are refused, by name."""

from datetime import UTC, datetime

import pytest

from pyodide_mirror import MIRRORS, Mirror
from pyodide_mirror.api import ENVIRONMENT_VARIABLE, check_canary, check_choice, check_timeout
from pyodide_mirror.api.arguments import (
    check_callback,
    check_flag,
    check_mirrors,
    check_requirements,
)
from pyodide_mirror.storage import Choice

A, B = "https://a.example/simple", "https://b.example/simple"


@pytest.fixture(autouse=True)
def no_mirrors_in_the_environment(monkeypatch):
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)


def urls(mirrors):
    return [mirror.index_url for mirror in mirrors.mirrors]


def test_one_or_several_mirrors():
    assert urls(check_mirrors(A)) == [A]
    assert urls(check_mirrors(Mirror(A))) == [A]
    assert urls(check_mirrors([A, Mirror(B)])) == [A, B]
    assert urls(check_mirrors(url for url in (B, A))) == [B, A]
    assert urls(check_mirrors([A + "/", B, A])) == [A, B]
    assert check_mirrors(A).named


def test_none_is_the_table():
    assert check_mirrors(None).mirrors == MIRRORS
    assert not check_mirrors(None).named


def test_none_is_the_environment_where_it_is_set(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, f" {A},{B}\n, nonsense ")
    found = check_mirrors(None)
    assert urls(found)[:2] == [A, B]
    assert found.named
    assert [bool(mirror.problem) for mirror in found.mirrors] == [False, False, True]


def test_an_empty_environment_is_the_table(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, " , ")
    assert check_mirrors(None).mirrors == MIRRORS


def test_mirrors_of_another_type():
    for bad in (7, b"https://a.example", {A: B}, [7], [None], [A, b"x"]):
        with pytest.raises(TypeError, match="mirrors"):
            check_mirrors(bad)


def test_mirrors_that_are_unusable():
    for bad in ([], (), "", "nonsense", [A, "x"], "https://u:pw@a.example/simple"):
        with pytest.raises(ValueError, match="mirrors") as caught:
            check_mirrors(bad)
        assert "pw" not in str(caught.value), bad


def test_remembering_reorders_and_never_adds():
    mirrors = check_mirrors([A, B])
    now = datetime.now(UTC)
    assert urls(mirrors.with_first(Choice(B, now))) == [B, A]
    assert urls(mirrors.with_first(Choice("https://c.example", now))) == [A, B]
    assert urls(mirrors.with_first(None)) == [A, B]


def test_canary():
    assert check_canary("Zoo_Canary") == "zoo-canary"
    with pytest.raises(TypeError, match="canary"):
        check_canary(None)
    for bad in ("", "-x", "a/b", "../x", "a b", "x" * 201, "<b>"):
        with pytest.raises(ValueError, match="canary"):
            check_canary(bad)


def test_timeout():
    assert check_timeout(2) == 2.0
    for bad in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="timeout"):
            check_timeout(bad)
    for bad in ("5", None, True):
        with pytest.raises(TypeError, match="timeout"):
            check_timeout(bad)


def test_choices_flags_and_functions():
    check_choice("prefer", "index", ("lockfile", "index"))
    with pytest.raises(ValueError, match="prefer must be one of 'lockfile', 'index'"):
        check_choice("prefer", "pypi", ("lockfile", "index"))
    check_flag("remember", False)  # the value under test
    with pytest.raises(TypeError, match="remember"):
        check_flag("remember", 1)
    check_callback("on_event", print)
    with pytest.raises(TypeError, match="on_event"):
        check_callback("on_event", "print")


def test_requirements():
    assert check_requirements("a") == ["a"]
    assert check_requirements(("a", "b")) == ["a", "b"]
    for bad in (None, 7, b"a", ["a", 7], {"a": 1}):
        with pytest.raises(TypeError, match="requirements"):
            check_requirements(bad)
