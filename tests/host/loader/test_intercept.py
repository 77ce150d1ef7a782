"""What the loader does to a page's ``fetch`` while Pyodide starts."""

import json
import subprocess
from pathlib import Path

from tests.support import provision

REST = provision.ROOT / "pyodide_mirror" / "loader" / "rest.js"
ONE, TWO = "https://one.example/", "https://two.example/"


def test_fetch_is_replaced_for_pyodides_own_files_alone_and_put_back(tmp_path: Path) -> None:
    (tmp_path / "rest.mjs").write_bytes(REST.read_bytes())
    driver = Path(__file__).with_name("intercept_driver.mjs")
    command = [str(provision.node()), str(driver), str(tmp_path / "rest.mjs")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "shared": True,
        "wasm": [ONE, "application/wasm"],
        "package": "x.whl sha256-x",
        "others": ["plain"] * 3,
        "own": "plain",
        "ended": ["plain", TWO],
        "restored": True,
        "both": [ONE, TWO],
        "theirs": True,
        "after": ["plain", "plain"],
        "seen": 7,
    }
