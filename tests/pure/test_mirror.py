"""A mirror: what its fields may be, and who gets its secrets."""

import pytest

from pyodide_mirror import Mirror

A = "https://a.example/simple"


def test_bad_fields_are_refused_by_name():
    for field, value, error in (
        ("name", 7, TypeError),
        ("private", "yes", TypeError),
        ("projects", "acme-*", TypeError),
        ("projects", [""], TypeError),
        ("headers", "Authorization: x", TypeError),
        ("headers", {"bad name": "x"}, ValueError),
        ("headers", {"Authorization": "secret\r\nEvil: 1"}, ValueError),
        ("credentials", "always", ValueError),
    ):
        with pytest.raises(error, match=field) as caught:
            Mirror(A, **{field: value})
        assert "secret" not in str(caught.value)


def test_a_mirror_shows_no_secret_and_can_be_hashed():
    mirror = Mirror(A, headers={"Authorization": "secret"}, credentials="include")
    assert "secret" not in repr(mirror)
    assert "include" not in repr(mirror)
    assert len({mirror, mirror}) == 1
    assert mirror.headers_for(A + "/x/") == {"Authorization": "secret"}
    assert mirror.headers_for("https://files.example/x.whl") == {}
    assert mirror.credentials_for(A) == "include"
    assert mirror.credentials_for("https://files.example/x.whl") == "omit"


def test_patterns_of_projects_are_normalized():
    assert Mirror(A, projects=["Acme_*"]).projects == ("acme-*",)
    assert Mirror(A + "/").project_url("demo") == f"{A}/demo/"


def test_pypi_has_a_word_as_in_micropip():
    from micropip import package_index

    mirror = Mirror("PYPI")
    assert (mirror.index_url, mirror.name) == (package_index.PYPI_URL, "PyPI")
    assert Mirror("PYPI", name="mine").name == "mine"
    with pytest.raises(ValueError, match="pypi"):
        Mirror("pypi")
