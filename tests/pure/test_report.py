"""Reports show themselves, and nothing hostile through them."""

import json
from html.parser import HTMLParser

from pyodide_mirror import (
    CDN,
    CDNOutcome,
    Event,
    IncompleteInstall,
    Installed,
    InstallReport,
    Mirror,
    NoUsableMirror,
    Outcome,
    Reason,
    Report,
)

GOOD = Mirror("https://good.example/simple", headers={"Authorization": "Bearer secret"})
BAD = Mirror("https://bad.example/simple", name="<b>Bad</b>")
SLOW = Mirror("https://slow.example/simple")
HOSTILE = "<script>alert(1)</script>\x1b[31m\r\n\u202eevil\u2066"


def report():
    outcomes = (
        Outcome(mirror=GOOD, reason=Reason.OK, elapsed_ms=12.34, detail="fine", hint="Nothing."),
        Outcome(mirror=BAD, reason=Reason.CORS, elapsed_ms=3.0, detail=HOSTILE, hint="Do that."),
    )
    return Report(GOOD, outcomes, (SLOW,))


def test_the_terminal_sees_a_table_with_hints():
    lines = str(report()).splitlines()
    assert lines[0].split() == ["mirror", "verdict", "ms", "what", "was", "seen"]
    assert lines[1].startswith("*  good.example")
    assert lines[3].split()[0] == "slow.example"
    assert lines[4] == "<b>Bad</b>: Do that."


def test_nothing_from_the_network_controls_the_terminal():
    text = str(report())
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\u202e" not in text
    assert len(text.splitlines()) == 5


class Shown(HTMLParser):
    """The texts of the elements of one kind, and that all that was opened is closed."""

    def __init__(self, page, kind):
        super().__init__()
        self.kind, self.open, self.texts = kind, [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        assert tag not in {"script", "img", "style", "b"}, "nothing of the network's own"
        if tag == self.kind:
            self.texts.append("")
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.kind in self.open:
            self.texts[-1] += data


def test_the_notebook_sees_a_compact_table_with_details_to_unfold():
    bundle = report()._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"text/plain", "text/html"}
    page = bundle["text/html"]
    assert Shown(page, "th").texts == ["", "mirror", "verdict", "ms"]
    rows = Shown(page, "tr").texts
    assert len(rows) == 4
    assert rows[1].startswith("✓good.example, in useok")
    assert rows[2].startswith("✗<b>Bad</b>cors")
    assert rows[3] == "…slow.exampleno verdict yet"
    unfolded = Shown(page, "details").texts
    assert len(unfolded) == 2
    assert Reason.CORS.explanation in unfolded[1]
    assert "<script>alert(1)</script>" in unfolded[1], "as text"
    assert "Do that." in unfolded[1]
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert Report(None, (), ())._repr_mimebundle_()["text/html"] == "<p>no mirrors</p>"


def test_to_dict_is_json_without_secrets():
    text = json.dumps(report().to_dict())
    loaded = json.loads(text)
    assert loaded["chosen"] == "https://good.example/simple"
    assert loaded["outcomes"][1]["reason"] == "cors"
    assert loaded["pending"][0]["index_url"] == "https://slow.example/simple"
    assert "secret" not in text + str(report()) + repr(report())


def test_the_error_is_the_table():
    lost = Report(None, report().outcomes[1:], ())
    error = NoUsableMirror(lost)
    assert error.report is lost
    assert "Do that." in str(error)


def test_an_install_report_shows_what_came_from_where():
    installed = (
        Installed(
            name="demo", version="1.0", source="mirror", mirror=GOOD.index_url, url="u", size=1234
        ),
        Installed(name="numpy", version="2.0", source="lockfile"),
    )
    event = Event("file", "demo.whl: 1,234 bytes", url="u", size=1234)
    whole = InstallReport(installed=installed, events=(event,), report=report())
    lines = str(whole).splitlines()
    assert lines[1].split() == ["demo", "1.0", "https://good.example/simple", "1,234"]
    assert lines[2].split() == ["numpy", "2.0", "lockfile"]
    assert json.loads(json.dumps(whole.to_dict()))["installed"][0]["size"] == 1234
    nothing = InstallReport(installed=(), events=(), report=report())
    assert "everything is already installed" in str(nothing)
    assert "everything is already installed" in nothing._repr_mimebundle_()["text/html"]


def test_an_install_report_in_a_notebook_tells_what_had_to_be_done():
    installed = Installed(
        name="demo", version="1.0", source="mirror", mirror=GOOD.index_url, url="u", size=1234
    )
    events = (
        Event("file", "demo.whl: 1,234 bytes"),
        Event("failover", f"demo.whl from {HOSTILE} instead"),
    )
    whole = InstallReport(installed=(installed,), events=events, report=report())
    page = whole._repr_mimebundle_()["text/html"]
    assert "demo1.0https://good.example/simple1,234" in Shown(page, "tr").texts
    summaries = Shown(page, "summary").texts
    assert summaries[:2] == ["repairs and problems (1)", "all events (2)"]
    assert summaries[2] == "mirrors (3)"
    quiet = InstallReport(installed=(installed,), events=events[:1], report=report())
    page = quiet._repr_mimebundle_()["text/html"]
    assert Shown(page, "summary").texts[0] == "all events (1)"


# --- CDNs ---------------------------------------------------------------------------------------


def cdn_report(outcomes=()):
    cdns = (
        CDNOutcome(
            cdn=CDN("https://cdn.example/"), reason=Reason.OK, elapsed_ms=7.0, detail="read"
        ),
        CDNOutcome(
            cdn=CDN("https://core.example/", name=HOSTILE),
            reason=Reason.INCOMPLETE,
            detail=HOSTILE,
            hint="Use another.",
        ),
    )
    return Report(None, outcomes, (), cdns)


def test_cdns_have_a_table_of_their_own():
    lines = str(cdn_report()).splitlines()
    assert lines[0].split()[:3] == ["CDN", "verdict", "ms"]
    assert lines[1].split() == ["cdn.example", "ok", "7", "read"]
    assert "incomplete" in lines[2]
    assert lines[3].endswith(": Use another.")
    assert len(lines) == 4
    both = str(cdn_report(report().outcomes)).splitlines()
    assert both[4:] == ["", *lines]


def test_cdns_are_shown_in_notebooks_without_anything_of_their_own():
    page = cdn_report()._repr_mimebundle_()["text/html"]
    cells = Shown(page, "td").texts
    assert any("cdn.example" in cell for cell in cells)
    assert any("incomplete" in cell and "Use another." in cell for cell in cells)


def test_cdns_are_json_types():
    found = json.loads(json.dumps(cdn_report().to_dict()))["cdns"]
    assert found[0] == {
        "cdn": {"base_url": "https://cdn.example/", "name": "cdn.example", "region": ""},
        "reason": "ok",
        "support": "full",
        "elapsed_ms": 7.0,
        "detail": "read",
        "hint": "",
    }
    assert found[1]["reason"] == "incomplete"


def test_an_incomplete_install_says_why():
    error = IncompleteInstall(["numpy"], None, ["numpy could not be loaded: because"])
    assert str(error) == "could not be installed: numpy\nnumpy could not be loaded: because"
    assert str(IncompleteInstall(["numpy"])) == "could not be installed: numpy"
