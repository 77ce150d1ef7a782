"""Cells with ``%pip`` in real kernels: with the add-on, and on a site that knows nothing of us."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pyodide_mirror.own_wheels import page_wheel
from pyodide_mirror.rebuilt import rebuilt_wheel
from tests.jupyterlite import sites
from tests.jupyterlite.browser import Browser, address
from tests.support.compiled import compiled
from tests.support.pages import PageServer
from tests.support.small_index import SmallIndex
from tests.support.wheels import make_sdist, make_wheel

APPLES = [
    make_wheel("apples", version, requires=["pears>=1"]) for version in ("1.0", "2.0", "3.0rc1")
]
OLD, NEW = PEARS = [make_wheel("pears", version) for version in ("1.0", "1.1")]
QUINCES = make_wheel("quinces", "1.0")
FETCH = """
import pathlib, pyodide.http
PLACE = "/tmp/{0.filename}"
answer = await pyodide.http.pyfetch("{1}/files/{0.filename}")
_ = pathlib.Path(PLACE).write_bytes(await answer.bytes())
"""
LOCK = """
lock-version = "1.0"
created-by = "it"
[[packages]]
name = "pears"
version = "1.0"
[[packages.wheels]]
name = "{0.filename}"
url = "{1}/files/{0.filename}"
hashes = {{sha256 = "{0.sha256}"}}
"""


@pytest.fixture(scope="module")
def index() -> Iterator[SmallIndex]:
    """What all kernels install from."""
    with SmallIndex(*APPLES, *PEARS, make_sdist("built-only", "1.0")) as index:
        yield index


@pytest.fixture(scope="module")
def extra() -> Iterator[SmallIndex]:
    """An index with a project of its own, to which one may log in."""
    with SmallIndex(QUINCES) as extra:
        yield extra


def files(index: SmallIndex) -> str:
    """A cell that writes files."""
    texts = {
        "wanted.txt": "-r more.txt  # nested\n-c limits.txt\n",
        "more.txt": "apples; python_version > '3'\nnothing; python_version < '3'\n",
        "limits.txt": "pears<1.1\n",
        "pylock.toml": LOCK.format(OLD, index.origin),
    }
    lines = [f"pathlib.Path({name!r}).write_text({text!r})" for name, text in texts.items()]
    return "\n".join(["import pathlib", *lines, "None"])


def each_option(index: SmallIndex, extra: SmallIndex) -> list[tuple[str, str]]:
    """Cells, and how each ends."""
    url, wheel = index.url, f"{index.origin}/files/{OLD.filename}"
    login = extra.url.replace("//", "//ann:secret@")
    return [
        ("%pip install apples==1.0", f"Installed apples 1.0, pears 1.1 from {url}"),
        ("%pip install apples", "Nothing to install: apples 1.0 is there already"),
        ("%pip install -U apples", f"Installed apples 2.0 in the place of 1.0 from {url}"),
        ("%pip install --upgrade --pre apples", f"apples 3.0rc1 in the place of 2.0 from {url}"),
        (
            "%pip install --force-reinstall --no-deps 'apples < 3'",
            "Installed apples 2.0 in the place of 3.0rc1 from the cache",
        ),
        ("import apples\n%pip show apples", "Requires: pears\nRequired-By:"),
        ("%pip list", "wcwidth"),
        ("%pip freeze", "wcwidth=="),
        (
            "%pip uninstall -y apples pears nothing",
            "Uninstalled apples 2.0\nNot installed: nothing\nUninstalled pears 1.1",
        ),
        (files(index), ""),
        ("%pip install -r wanted.txt", f"apples 2.0 from the cache; pears 1.0 from {url}"),
        ("%pip install -q pears==1.1", "Installed pears 1.1 in the place of 1.0 from the cache"),
        (f"%pip install -v {wheel}", f"Installed pears 1.0 in the place of 1.1 from {wheel}"),
        ("%pip install -r pylock.toml", "Nothing to install: all that applies"),
        (
            "for NAME in ['quinces']:\n    %pip install {NAME} \\\n        --extra-index-url "
            + extra.url,
            f"Installed quinces 1.0 from {extra.url}",
        ),
        (f"%pip install --force-reinstall $NAME -i {login}", f"1.0 from {extra.url}"),
        (
            f"{FETCH.format(NEW, index.origin)}%pip install emfs:{{PLACE}}",
            f"emfs:/tmp/{NEW.filename}",
        ),
        ("%pip uninstall -y pears\n%pip install $PLACE", f"from emfs:/tmp/{NEW.filename}"),
        ("%pip install -c limits.txt pears", "Installed pears 1.0 in the place of 1.1 from the "),
        ("%pip install --constraint=limits.txt pears==1.1", "no versions fit together"),
        ("%pip install --nonsense apples", "%pip install: unknown option --nonsense; known are "),
        ("%pip instal apples", "%pip: unknown command 'instal'; known are install, uninstall, "),
        ("%pip install -e .", "-e .: only wheels can be installed here"),
        ("%pip install https://a.invalid/x-1.0.tar.gz", "a browser cannot build an sdist"),
        ("%pip install built-only", "1.0 has no wheel for Pyodide"),
        ("%pip install apples >= 1", ">= is no requirement like 'name>=1.0'"),
        ("%pip install -r", "%pip install: -r has no value"),
        ("%pip install", "%pip install: give requirements, or -r FILE"),
        ("%pip", "%pip show NAME..."),
        ("%pip install --help", "-i/--index-url=URL"),
        ("%pip install no-such-thing", "HTTP 404 for project 'no-such-thing'"),
        ("%mirror", f"*  {urlsplit(url).netloc}"),
    ]


def build(
    root: Path,
    *,
    addon: Mapping[str, object] | None,
    wheels: Mapping[str, bytes],
    cells: Sequence[str],
) -> str:
    """Build a site with these wheels and a notebook, and return the path to it."""
    (root / "pypi").mkdir(parents=True)
    for name, data in wheels.items():
        (root / "pypi" / name).write_bytes(data)
    folder = sites.write_site(
        root, addon=addon, pyodide=compiled(sites.kernel_dist()), notebooks={"pip.ipynb": cells}
    )
    off = {} if addon else {"JUPYTERLITE_NO_PYODIDE_MIRROR": "1"}
    return f"/{root.name}/{sites.built(folder, **off).relative_to(root)}"


def resolvelib() -> dict[str, bytes]:
    """The wheel of the resolver, under a name that its owner gives it."""
    name, data = rebuilt_wheel("resolvelib")
    project, version, *_ = name.split("-")
    return {f"{project}-{version}-py3-none-any.whl": data}


def run(browser: Browser, root: Path, base: str) -> list[str]:
    """What each cell of the notebook shows."""
    with (
        PageServer(root) as server,
        browser.open(address(server.base_url() + base, "notebooks", path="pip.ipynb")) as page,
    ):
        return page.run_notebook("pip.ipynb", one_by_one=True)


def check(cells: Sequence[tuple[str, str]], shown: Sequence[str]) -> None:
    """See that each cell shows what it should, and none an empty output or a password."""
    for (cell, said), text in zip(cells, shown, strict=True):
        assert said in text, f"{cell}\n{text}"
        assert text.strip() or not said
        assert "secret" not in text


@pytest.mark.nightly
def test_each_option_on_a_site_with_the_add_on(
    each_browser: Browser, tmp_path: Path, index: SmallIndex, extra: SmallIndex
) -> None:
    cells = each_option(index, extra)
    base = build(
        tmp_path / "pip",
        addon={"mirrors": [index.url]},
        wheels=resolvelib(),
        cells=[cell for cell, _ in cells],
    )
    check(cells, run(each_browser, tmp_path, base))


@pytest.mark.nightly
def test_one_cell_on_a_site_of_others_gives_pip_mirror_and_progress(
    browser: Browser, tmp_path: Path, index: SmallIndex
) -> None:
    name, data = page_wheel(("any",))
    [comm] = sites.download("comm").glob("*.whl")
    first = "%pip install pyodide-mirror\n%load_ext pyodide_mirror"
    cells = [
        # There is nothing in this test's world of the mirrors that are known.
        (f"import os\nos.environ['PYODIDE_MIRROR_URLS'] = '{index.url}'", ""),
        (first, ""),
        ("%mirror", "no mirror has been chosen yet"),
        ("%pip install --nonsense", "unknown option --nonsense"),
        ("%pip install apples==1.0", f"Installed apples 1.0, pears 1.1 from {index.url}"),
        ("%mirror", f"*  {urlsplit(index.url).netloc}"),
        ("%pip install -U apples", f"Installed apples 2.0 in the place of 1.0 from {index.url}"),
        (first, ""),
        ("%unload_ext pyodide_mirror", ""),
        ("print(get_ipython().kernel.lite_transform_manager.line_transforms)", "pip_magic"),
    ]
    base = build(
        tmp_path / "theirs",
        addon=None,
        wheels={name: data, comm.name: comm.read_bytes(), **resolvelib()},
        cells=[cell for cell, _ in cells],
    )
    check(cells, run(browser, tmp_path, base))
