"""Names of projects, and text from elsewhere."""

from pyodide_mirror.model import is_project_name, normalize, printable


def test_names_are_normalized():
    assert normalize("Zope.Interface__x--y") == "zope-interface-x-y"


def test_what_may_be_a_projects_name():
    for name in ("a", "A1", "zope.interface", "a-b_c.d", "x" * 200):
        assert is_project_name(name), name
    for name in ("", "-a", "a.", "a b", "a/b", "a\n", "\u00e4", "<b>", "x" * 201):
        assert not is_project_name(name), name


def test_long_text_is_cut_and_lone_surrogates_are_replaced():
    assert len(printable("x" * 1000)) == 300
    printable("a\ud800b").encode()


def test_nothing_in_text_controls_a_terminal():
    assert "\x1b" not in printable("\x1b[31mred")
    assert "\n" not in printable("a\r\nb")
    assert "\u202e" not in printable("\u202eevil\u2066")
