"""The page of `pyodide-mirror serve`, to axe and to a keyboard: everybody can use it."""

from pathlib import Path

import pytest

from demo.screenshots import Chromium
from tests.demo.driving import Visitor
from tests.support.own_server import serving_here
from tests.support.wheels import make_wheel


@pytest.mark.nightly
def test_everybody_can_use_the_page_of_a_server(browser: Chromium, tmp_path: Path) -> None:
    wheel = make_wheel("acme-tool", "1.0")
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / wheel.filename).write_bytes(wheel.data)
    (folder / "nonsense.whl").write_bytes(b"")
    visitor = Visitor(browser)
    with serving_here(folder, cache=tmp_path / "cache") as served:
        visitor.open(f"{served.url}/")
        visitor.tab_to("#project")
        visitor.press("Acme.Tool")
        visitor.tab_to("button")
        visitor.press("\n")
        visitor.wait("location.search.includes('project=Acme.Tool')")
        assert wheel.filename in visitor.text("main")
        visitor.look("document.querySelector('details').open = true")
        # Its own policy forbids what a test adds by an element, and lets the driver's script run.
        assert visitor.serious_faults() == []
        assert visitor.look("return getComputedStyle(document.body).maxWidth") != "none"
        visitor.tab_to("[lang=es]")
        visitor.press("\n")
        visitor.wait("document.documentElement.lang === 'es'")
        assert wheel.filename in visitor.text("main")
