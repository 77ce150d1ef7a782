import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from pyodide_mirror.bundling import read_lock_file, write_bundle
from tests.jupyterlite import sites
from tests.jupyterlite.browser import END, Browser, Page, address
from tests.support import bundles
from tests.support.compiled import compiled
from tests.support.pages import PageServer
from tests.zoo.cdns import ARRAYS, CDNZoo, lock_entries
from tests.zoo.zoo import Zoo

ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
ELSEWHERE = ("https://elsewhere.example/from-page", "https://elsewhere.example/from-kernel")
SEEN = "All of the tree is there."
USE = f"import zoo_root, zoo_dep_a, zoo_dep_b\nprint('{SEEN}')"
LOADER = """
import sys
print("Loaded by", type(sys.modules["pyodide_mirror.api.session"].__loader__).__name__)
"""
NOT_YET = "import sys\nprint('In use:', 'pyodide_mirror.api' in sys.modules)"
NUMBERS = "import zoo_arrays\nprint('The value is', zoo_arrays.VALUE)"
"""What it imports is in Pyodide's lock file; nothing else has the kernel load it."""
FORGET = """
import micropip, sys
micropip.uninstall(["zoo-root", "zoo-dep-a", "zoo-dep-b"])
for name in ("zoo_root", "zoo_dep_a", "zoo_dep_b"):
    del sys.modules[name]
"""
INSTALL = """
import pyodide_mirror
await pyodide_mirror.install("zoo-root", on_event=pyodide_mirror.show_progress())
"""
EACH_WAY = [
    *("%pip install zoo-root", USE, FORGET),
    *("await micropip.install('zoo-root')", USE, FORGET),
    *(INSTALL, USE),
    "%mirror",
]


@pytest.fixture(scope="module")
def zoo() -> Iterator[Zoo]:
    """Mirrors, of which the good one takes its time: the others have their verdicts before it."""
    with Zoo() as zoo:
        zoo.share("relative-urls", latency=0.2)
        yield zoo


@pytest.fixture(scope="module")
def site(root: Path, zoo: Zoo) -> str:
    """A site below a path, with four mirrors, of which one is usable, and only when repaired."""
    return build(root, zoo, "team/notebooks", ["closed-port", "no-cors", "hangs", "relative-urls"])


@pytest.fixture(scope="module")
def cut_off_site(root: Path, zoo: Zoo) -> str:
    """A site with mirrors of which none works."""
    return build(root, zoo, "cut-off", ["closed-port", "no-cors", "login-page"])


@pytest.fixture(scope="module")
def owned_site(root: Path, zoo: Zoo) -> str:
    """A site with a wheel of its owner's, who does not want ``%pip`` to go anywhere else."""
    sites.put_wheel(root / "owned", "own-thing", {})
    return build(root, zoo, "owned", ["relative-urls"], kernel={"disablePyPIFallback": True})


@pytest.fixture(scope="module")
def older_site(root: Path, zoo: Zoo) -> str:
    """A site of JupyterLite 0.7."""
    sites.put_sqlite3(root / "older")
    return build(root, zoo, "older", ["relative-urls"], release=sites.OLDER)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Pyodide, what kernels need, and a lock file with more that a CDN may have."""
    folder = tmp_path_factory.mktemp("dist")
    for path in compiled(sites.kernel_dist()).iterdir():
        (folder / path.name).symlink_to(path)
    lock = json.loads((folder / "pyodide-lock.json").read_text())
    lock["packages"] |= lock_entries()
    (folder / "pyodide-lock.json").unlink()
    (folder / "pyodide-lock.json").write_text(json.dumps(lock))
    return folder


@pytest.fixture(scope="module")
def cdns(dist: Path) -> Iterator[CDNZoo]:
    """CDNs; the good ones have all of that."""
    with CDNZoo.of(dist) as zoo:
        yield zoo


@pytest.fixture(scope="module")
def loading_site(root: Path, zoo: Zoo, cdns: CDNZoo, dist: Path) -> str:
    """A site that has Pyodide from CDNs, of which the last one alone is good."""
    addon = {
        "mirrors": [zoo.url("closed-port"), zoo.url("relative-urls")],
        "canary": "zoo-canary",
        "cdns": [cdns.url(name) for name in ("hanging", "503", "wrong-bytes", "good")],
        "loader": str(dist),
    }
    cells = [NOT_YET, NUMBERS, "%pip install zoo-root", USE, LOADER]
    folder = sites.write_site(root / "loads", addon=addon, notebooks={"loads.ipynb": cells})
    ours = str(sites.package_for(dist))
    return f"/{sites.built(folder, PYTHONPATH=ours).relative_to(root)}"


@pytest.fixture(scope="module")
def bundled_site(root: Path, dist: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A site with a bundle: of what kernels need, and of a package with what that needs."""
    top, version = tmp_path_factory.mktemp("bundled"), sites.CURRENT.pyodide
    release = bundles.make_release(top / "release", dist)
    lock = json.loads((release / "pyodide-lock.json").read_text())
    needed = [entry for name, entry in lock["packages"].items() if not name.startswith("zoo-")]
    entries = [bundles.lock_entry_of(release, entry) for entry in needed]
    first = bundles.write_lock(top / "kernel" / "pylock.toml", (), packages=entries)
    second = bundles.write_lock(top / "more" / "pylock.toml")
    settings = bundles.settings(release, top / "cache", pyodide=version)
    with bundles.known_release(release, version):
        write_bundle(top / "bundle", [*map(read_lock_file, (first, second))], settings)
    addon = {"bundle": str(top / "bundle")}
    cells = ["%pip install zoo-tree", f"import zoo_tree, zoo_leaf\nprint('{SEEN}')", NUMBERS]
    folder = sites.write_site(root / "bundled", addon=addon, notebooks={"bundled.ipynb": cells})
    ours = str(sites.package_for(dist))
    return f"/{sites.built(folder, PYTHONPATH=ours).relative_to(root)}"


def build(
    root: Path,
    zoo: Zoo,
    path: str,
    animals: Sequence[str],
    *,
    release: sites.Release = sites.CURRENT,
    kernel: Mapping[str, object] | None = None,
) -> str:
    """Build a site below the server's root and return the path to it."""
    folder = sites.write_site(
        root / path,
        addon={"mirrors": [zoo.url(name) for name in animals], "canary": "zoo-canary"},
        pyodide=compiled(sites.kernel_dist(release)),
        kernel=kernel,
        notebooks={"each-way.ipynb": EACH_WAY},
    )
    return f"/{sites.built(folder, release=release).relative_to(root)}"


def repl(base: str, *lines: str) -> str:
    """The address of a REPL that runs the code as soon as it can."""
    code = "\n".join([*lines, f"print('{END}')"])
    return address(base, "repl", kernel="python", execute="1", code=code)


def told(text: str) -> list[str]:
    """The lines that were printed when a mirror was chosen; the progress may be before them."""
    return re.findall("pyodide_mirror: .*", text)


def host(zoo: Zoo, name: str) -> str:
    return zoo[name].here.removeprefix("http://")


@pytest.mark.nightly
def test_the_first_cell_installs_through_the_mirror_that_works_in_an_isolated_page(
    browser: Browser, server: PageServer, site: str, zoo: Zoo
) -> None:
    first = repl(server.base_url(ISOLATED) + site, "%pip install zoo-root", USE, LOADER)
    with browser.open(first) as page:
        assert page.run_js("return crossOriginIsolated")
        text = page.repl_output()
    (line,) = told(text)
    assert f"installs through {host(zoo, 'relative-urls')} (relative-urls)" in line
    assert host(zoo, "closed-port") in line
    assert SEEN in text
    assert "Loaded by CompiledFinder" in text


@pytest.mark.parametrize("app", ["lab", pytest.param("notebooks", marks=pytest.mark.nightly)])
def test_all_ways_to_install_lead_to_the_mirror_that_works(
    browser: Browser, server: PageServer, site: str, zoo: Zoo, app: str
) -> None:
    """After a restart of the kernel as well, which is the same in both apps."""
    with browser.open(address(server.base_url() + site, app, path="each-way.ipynb")) as page:
        run_each_way(page, zoo)
        if app == "lab":
            run_each_way(page, zoo, restart=True)


def run_each_way(page: Page, zoo: Zoo, *, restart: bool = False) -> None:
    zoo["relative-urls"].forget()
    shown = page.run_notebook("each-way.ipynb", restart=restart)
    assert [text.strip() for text in shown[1:8:3]] == [SEEN] * 3
    assert len(told("".join(shown))) == 1
    assert f"installs through {host(zoo, 'relative-urls')} (relative-urls)" in shown[0]
    assert f"*  {host(zoo, 'relative-urls')}" in shown[-1]
    *_, install, _, table = page.notebook_html("each-way.ipynb")
    # Progress is one output, which says what was the last; the report is another.
    assert install.count('<div role="status">installed zoo-root 1.0</div>') == 1
    assert "<details><summary>mirrors (" in install
    assert f'<strong><span title="{zoo.url("relative-urls")}">' in table
    fetched = [request.target for request in zoo["relative-urls"].requests]
    wheels = [target for target in fetched if target.endswith(".whl")]
    # It is fetched once; the other ways, and the next kernel, have it from the cache.
    assert sum("zoo_root-1.0" in wheel for wheel in wheels) == (0 if restart else 1)


@pytest.mark.nightly
def test_with_no_mirror_that_works_a_kernel_starts_and_an_install_says_why_not(
    browser: Browser, server: PageServer, cut_off_site: str, zoo: Zoo
) -> None:
    ask = [
        "import pyodide.http",
        f"try: await pyodide.http.pyfetch('{ELSEWHERE[1]}')",
        "except OSError: print('The kernel is running.')",
    ]
    url = repl(server.base_url() + cut_off_site, *ask, "%pip install zoo-root")
    browser.expected += ELSEWHERE  # which shows that it would be seen
    with browser.open(url) as page:
        assert page.run_js("return fetch(args[0]).catch(() => 'no')", ELSEWHERE[0]) == "no"
        text = page.repl_output()
    assert "The kernel is running." in text
    assert "NoUsableMirror" in text
    for name, verdict in [("closed-port", "unreachable"), ("no-cors", "cors")]:
        assert any(host(zoo, name) in line and verdict in line for line in text.splitlines())
    assert "not-an-index" in text


@pytest.mark.nightly
def test_what_owner_and_user_have_said_is_respected(
    browser: Browser, server: PageServer, owned_site: str, zoo: Zoo
) -> None:
    healthy = zoo.url("healthy")
    zoo["healthy"].forget()
    zoo["relative-urls"].forget()
    lines = [
        "import importlib, micropip",
        "%pip install own-thing",
        "import own_thing",
        "try:\n    %pip install zoo-canary\nexcept Exception as error: print(type(error).__name__)",
        f"await micropip.install('zoo-canary', index_urls=['{healthy}'])",
        "import zoo_canary",
        f"micropip.set_index_urls(['{healthy}'])",
        "await micropip.install('zoo-root')",
        USE,
    ]
    with browser.open(repl(server.base_url() + owned_site, *lines)) as page:
        text = page.repl_output()
    said = [line for line in text.splitlines() if "Installed" not in line]
    assert said == ["PiplitePyPIDisabled", SEEN, END]
    assert "Installed own-thing 1.0 from http://127.0.0.1" in text
    assert zoo["relative-urls"].requests == ()
    assert zoo["healthy"].requests


@pytest.mark.nightly
def test_kernels_start_and_install_when_the_first_three_cdns_are_dead(
    browser: Browser, server: PageServer, loading_site: str, cdns: CDNZoo
) -> None:
    """With Pyodide, its packages and those that a cell imports from the last CDN."""
    url = address(server.base_url() + loading_site, "notebooks", path="loads.ipynb")
    with browser.open(url) as page:
        for restart in (False, True):
            shown = page.run_notebook("loads.ipynb", restart=restart)
            in_use, numbers, _, seen, loaded = (text.strip() for text in shown)
            assert in_use == "In use: False"
            assert numbers == "The value is zoo-arrays 1.0"
            assert seen == SEEN
            assert loaded == "Loaded by CompiledFinder"
    assert {"pyodide.asm.wasm", ARRAYS.filename} <= {*cdns.start("good").asked}


@pytest.mark.nightly
def test_kernels_start_and_install_from_a_bundle_in_the_site(
    browser: Browser, server: PageServer, bundled_site: str
) -> None:
    url = address(server.base_url() + bundled_site, "notebooks", path="bundled.ipynb")
    with browser.open(url) as page:
        told_first, seen, numbers = (text.strip() for text in page.run_notebook("bundled.ipynb"))
    assert f"{server.port}" in told_first
    assert seen == SEEN
    assert numbers == "The value is zoo-arrays 1.0"


@pytest.mark.nightly
def test_a_site_of_jupyterlite_0_7_installs_as_well(
    browser: Browser, server: PageServer, older_site: str, zoo: Zoo
) -> None:
    url = repl(server.base_url() + older_site, "%pip install zoo-root", USE, LOADER)
    with browser.open(url) as page:
        text = page.repl_output()
    assert "Loaded by SourceFileLoader" in text
    assert f"installs through {host(zoo, 'relative-urls')} (relative-urls)" in text
    assert SEEN in text
