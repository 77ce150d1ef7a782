"""Progress in one line, or a line for each step."""

import io
import sys
import types

import pytest

from pyodide_mirror import Event, show_progress

CHOSEN = Event("chosen", "installs through m.example")
PART = Event("progress", "a.whl: 500 bytes so far", size=500, total=2000)
HOSTILE = Event("problem", "evil \x1b[31m\r\n <b>name</b>")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_sees_one_line_that_changes():
    stream = Terminal()
    show = show_progress(stream)
    show(CHOSEN)
    show(Event("file", "not shown by itself"))
    show(PART)
    show(HOSTILE)
    lines = stream.getvalue().split("\r")
    assert lines[0] == ""
    assert [line.strip() for line in lines[1:3]] == [
        "using installs through m.example",
        "reading a.whl: 500 bytes so far of 2,000 (25 %)",
    ]
    assert len(lines) == 4
    assert {len(line) for line in lines[1:]} == {78}
    assert "\x1b" not in stream.getvalue()
    assert "\n" not in stream.getvalue()


def test_another_stream_gets_a_line_for_each_step():
    stream = io.StringIO()
    show = show_progress(stream)
    for event in (CHOSEN, PART, PART, HOSTILE):
        show(event)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "using installs through m.example"
    assert len(lines) == 2
    assert "\x1b" not in lines[1]


def test_without_a_notebook_it_goes_to_standard_output(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    show_progress()(CHOSEN)
    assert stream.getvalue() == "using installs through m.example\n"


def test_a_notebook_sees_one_output_that_is_updated(monkeypatch):
    shown = []

    class Handle:
        def update(self, data, *, raw):
            shown.append(("update", data, raw))

    def display(data, *, raw, display_id):
        shown.append(("display", data, raw, display_id))
        return Handle()

    module = types.ModuleType("IPython")
    module.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    module.display = types.ModuleType("IPython.display")
    module.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", module.display)
    show = show_progress()
    show(CHOSEN)
    show(PART)
    show(HOSTILE)
    (_, first, *flags), (_, second, raw), (_, third, _) = shown
    assert flags == [True, True]
    assert raw
    assert first["text/plain"] == "using installs through m.example"
    assert "<progress" not in first["text/html"]
    assert '<progress max="2000" value="500">' in second["text/html"]
    assert "<b>" not in third["text/html"]
    assert "&lt;b&gt;" in third["text/html"]


@pytest.mark.parametrize("running", [True, False])
def test_marimo_s_output_is_replaced_while_a_cell_of_it_runs(monkeypatch, running):
    shown, stream = [], io.StringIO()
    module = types.ModuleType("marimo")
    module.running_in_notebook = lambda: running
    module.Html = lambda text: ("html", text)
    module.output = types.SimpleNamespace(replace=shown.append)
    monkeypatch.setitem(sys.modules, "marimo", module)
    monkeypatch.setattr(sys, "stdout", stream)
    show = show_progress()
    show(CHOSEN)
    show(PART)
    if running:
        (_, first), (kind, second) = shown
        assert kind == "html"
        assert "installs through m.example" in first
        assert '<progress max="2000" value="500">' in second
        assert not stream.getvalue()
    else:
        assert not shown
        assert stream.getvalue()
