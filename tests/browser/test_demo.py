"""The demonstration keeps all that its page promises."""

import struct
from pathlib import Path

import pytest

from demo.check import check
from demo.screenshots import take
from demo.stage import set_stage
from pyodide_mirror.loader import folder as loader_folder
from tests.support.compiled import compiled_core, compiled_dist


@pytest.fixture(autouse=True)
def _digests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the digests of the Pyodide of tests, whose Python is compiled, for the release's."""
    monkeypatch.setattr(loader_folder, "core_files", compiled_core)


@pytest.mark.engines("chromium")
def test_the_demo_is_as_promised(engine: str, tmp_path: Path) -> None:
    with set_stage(pyodide=compiled_dist()) as address:
        report, broken = check(address, tmp_path / "demo.png")
    print(report)
    assert broken == []
    assert (tmp_path / "demo-phone.png").stat().st_size > 0


# Each night; WebKit has its pictures taken: nox -s screenshots.
@pytest.mark.engines("firefox", ci=())
def test_other_engines_show_the_same(engine: str, tmp_path: Path) -> None:
    with set_stage(pyodide=compiled_dist()) as address:
        (picture,) = take(engine, address, tmp_path, widths=(390,), schemes=("dark",))
    png = picture.read_bytes()
    width, height = struct.unpack(">II", png[16:24])  # PNG, 11.2.1: the image header
    assert width == 390
    assert height > 2000
    assert len(png) > 50_000  # an empty page is packed into much less
