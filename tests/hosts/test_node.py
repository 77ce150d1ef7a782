import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from tests.hosts.stage import USABLE_IN_NODE, assert_installed, mirrors, prepare
from tests.support import provision
from tests.support.compiled import compiled_dist

ASKED = Path(__file__).with_name("asked.mjs")


def test_node_installs_from_a_mirror_that_no_browser_could_read(tmp_path: Path) -> None:
    asked = tmp_path / "asked.txt"
    with mirrors() as urls:
        folder = prepare("node", tmp_path, urls)
        (folder / "node_modules").mkdir()
        (folder / "node_modules" / "pyodide").symlink_to(compiled_dist())
        done = subprocess.run(
            [provision.node(), "--import", ASKED.as_uri(), "install.mjs"],
            cwd=folder,
            env=os.environ | {"ASKED": str(asked)},
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=100,
        )
    report = done.stdout[done.stdout.index("installed ") :]
    assert_installed(report, *(urls[name] for name in USABLE_IN_NODE))
    chart = (folder / "chart.svg").read_text()
    assert "<svg" in chart
    assert "Drawn by pygal" in chart
    assert {urlsplit(origin).hostname for origin in asked.read_text().split()} == {"127.0.0.1"}
