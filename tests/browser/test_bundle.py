"""A bundle on hosts that serve files: its own page, and plain micropip, in real engines."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror.bundling import read_lock_file, write_bundle
from tests.support import bundles
from tests.support.compiled import compiled_dist
from tests.support.engines import Engine
from tests.support.static_hosts import HOSTS

pytestmark = pytest.mark.engines("chromium", "firefox", "webkit")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A bundle with a package, and what it needs of the index and of Pyodide's lock file."""
    top = tmp_path_factory.mktemp("bundle")
    release = bundles.make_release(top / "release", compiled_dist())
    lock = read_lock_file(bundles.write_lock(top / "lock" / "pylock.toml"))
    with bundles.known_release(release):
        write_bundle(top / "bundle", [lock], bundles.settings(release, top / "cache"))
    yield top / "bundle"
    shutil.rmtree(top)


STARTED = """
const status = () => document.getElementById("status").textContent;
while (/starts/.test(status())) await new Promise((resolve) => setTimeout(resolve, 20));
const prompt = document.getElementById("prompt");
const output = document.getElementById("output");
const type = async (line) => {
    output.textContent = "";
    prompt.value = line;
    prompt.form.requestSubmit();
    while (prompt.readOnly) await new Promise((resolve) => setTimeout(resolve, 20));
    return output.textContent;
};
"""
TYPED = """
if (prompt.disabled) return [status()];
const lines = [status()];
for (const line of LINES) lines.push(await type(line));
const asked = performance.getEntriesByType("resource").map(({ name }) => name);
const ours = new RegExp(`^(blob:|data:|${location.origin}/)`);
return [...lines, asked.filter((name) => !ours.test(name))];
"""
LINES = [
    "import micropip; await micropip.install('zoo-tree')",
    "import zoo_tree, zoo_leaf, zoo_arrays, pyodide_mirror",
    "print(zoo_tree.VALUE, zoo_leaf.VALUE, zoo_arrays.VALUE)",
    "pyodide_mirror.status().chosen.index_url",
    ")",
]


def typed(page: Engine, url: str, *lines: str) -> list[Any]:
    """What the page of a bundle says when it has started, and after each line; who was asked."""
    page.goto(url)
    code = STARTED + TYPED.replace("LINES", str(list(lines)))
    found: list[Any] = page.run_js(code, pyodide_checks=False)
    return found


@pytest.mark.parametrize("host", HOSTS)
def test_the_page_of_a_bundle_starts_python_and_installs(
    page: Engine, host: str, bundle: Path, tmp_path: Path
) -> None:
    with HOSTS[host](bundle, tmp_path / "host") as url, page.bare_tab():
        status, *said, strangers = typed(page, f"{url}/index.html", *LINES)
    assert status.startswith("Python 3.14"), status
    assert strangers == []
    assert "zoo-tree 1.0 zoo-leaf 1.0 zoo-arrays 1.0" in said[2], said
    assert f"'{url}/simple/{{package_name}}/index.json'" in said[3]
    assert "unmatched" in said[4]
