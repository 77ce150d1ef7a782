"""Progress in one line."""

import io
import sys
import types

from pyodide_mirror import Event, show_progress


def test_a_terminal_sees_one_line_that_changes():
    stream = io.StringIO()
    show = show_progress(stream)
    show(Event("chosen", "installs through m.example"))
    show(Event("file", "not shown by itself"))
    show(Event("progress", "a.whl: 500 bytes so far", size=500, total=2000))
    show(Event("problem", "evil \x1b[31m\r\n name"))
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


def test_a_notebook_sees_one_output_that_is_updated(monkeypatch):
    shown = []

    class Handle:
        def update(self, data, *, raw):
            shown.append(("update", data["text/plain"], raw))

    def display(data, *, raw, display_id):
        shown.append(("display", data["text/plain"], raw, display_id))
        return Handle()

    module = types.ModuleType("IPython")
    module.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    module.display = types.ModuleType("IPython.display")
    module.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", module.display)
    show = show_progress()
    show(Event("chosen", "installs through m.example"))
    show(Event("failover", "a.whl from n.example instead"))
    assert shown == [
        ("display", "using installs through m.example", True, True),
        ("update", "got a.whl from n.example instead", True),
    ]
