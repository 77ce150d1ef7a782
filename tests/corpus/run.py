"""Installs packages that exist, each in a fresh page, by plain micropip and by us, and compares.

    python -m tests.corpus.run [--top 300] [--engine chromium] [NAME...]

They come from PyPI through ``pyodide-mirror serve``; pip resolves each through the same server.
What was found is kept below ``.cache/``, and only what is missing there is run; ``--again ours``
runs our installs again, ``--again pip`` pip's, ``--again all`` everything. The table is printed,
and written into docs/corpus.md when the list was run.
"""

import argparse
import inspect
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pyodide_mirror.mirrors import MIRRORS
from tests.corpus import inside, table
from tests.support import provision
from tests.support.engines import ENGINES, Engine
from tests.support.own_server import clean_environment, serving
from tests.support.pages import PageServer

PACKAGES = Path(__file__).with_name("packages.txt")
CONFLICTS = Path(__file__).with_name("conflicts.txt")
KEPT = provision.CACHE / "corpus"
DOCUMENT = provision.ROOT / "docs" / "corpus.md"
PATIENCE = 180.0
"""Seconds an install may take: the server fetches what nobody has asked it for before."""

Json = dict[str, Any]


def names(top: int) -> list[str]:
    """Return the first names of the list."""
    return _lines(PACKAGES)[:top]


def _lines(file: Path) -> list[str]:
    lines = file.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def kept_at(kept: Path, project: str) -> Path:
    """Return the file with what was found of a project, or of several requirements."""
    return kept / f"{project.replace(' ', ' + ')}.json"


@contextmanager
def fresh_page(page: Engine) -> Iterator[None]:
    """Open a page with Pyodide, micropip and our wheel, and close it in the end."""
    with page.page_of_pyodide_alone():
        wheels = [f"{page.base_url}/wheels/{name}" for name in page.pages.wheels]
        wanted = json.dumps(["micropip", *wheels])
        page.run_js(f"await pyodide.loadPackage({wanted}, {{messageCallback: () => {{}}}})")
        yield


def install(page: Engine, how: str, project: str, url: str) -> Json:
    """Install in a fresh page; the result is what `inside.attempt` says."""
    call = f"await attempt({how!r}, {project!r}, {url!r}, {PATIENCE})"
    code = json.dumps(f"{inspect.getsource(inside)}\n{call}")
    with fresh_page(page):
        page.set_script_timeout(PATIENCE + 60)
        found: Json = json.loads(page.run_js(f"return await pyodide.runPythonAsync({code});"))
    return found


def resolve(project: str, url: str) -> Json:
    """Return what pip would install of a project through the same server."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed"]
        command += ["--report", str(report), "--index-url", f"{url}/", "--only-binary", ":all:"]
        python = provision.python_of(provision.pyodide_dist())
        command += ["--python-version", python, *project.split()]
        ended = subprocess.run(
            command, env=clean_environment(), capture_output=True, text=True, check=False
        )
        if ended.returncode:
            return {"error": ended.stderr.strip().splitlines()[-1], "versions": {}}
        found = json.loads(report.read_text("utf-8"))["install"]
    versions = {one["metadata"]["name"]: one["metadata"]["version"] for one in found}
    return {"error": "", "versions": versions}


def run(page: Engine, wanted: list[str], url: str, kept: Path, again: str) -> None:
    """Run what is not kept yet, in turns; progress is told on standard error."""
    for number, project in enumerate(wanted, 1):
        file = kept_at(kept, project)
        known = json.loads(file.read_text("utf-8")) if file.exists() and again != "all" else {}
        turns = ("plain", "ours") if number % 2 else ("ours", "plain")
        missing = [how for how in ("pip", *turns) if how not in known or how == again]
        if not missing:
            continue
        # pip first: the server has fetched the pages then.
        works = {"pip": lambda name: resolve(name, url)}
        works |= {how: partial(install, page, how, url=url) for how in turns}
        found = {how: works[how](project) for how in missing}
        row = {"project": project, **known, **found}
        file.write_text(json.dumps(row), "utf-8")
        print(f"{number}/{len(wanted)} {table.line(row)}", file=sys.stderr)


def main() -> None:
    """Run the corpus, and show the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus.run")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="instead of the lists', or 'NAME NAME<2'"
    )
    parser.add_argument("--top", type=int, default=300, help="how many of the list (%(default)s)")
    parser.add_argument("--engine", default="chromium", choices=ENGINES)
    parser.add_argument(
        "--again", default="", choices=("ours", "pip", "all"), help="run these again"
    )
    given = parser.parse_args()
    # Whoever ends this gets what Ctrl-C gets: the browser and the server end first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wanted = given.names or [*names(given.top), *_lines(CONFLICTS)]
    kept = KEPT / given.engine
    kept.mkdir(parents=True, exist_ok=True)
    wheel = provision.browser_wheel()
    upstream = MIRRORS[0].index_url
    with (
        PageServer(provision.pyodide_dist(), wheel) as pages,
        serving(None, [upstream], cache=KEPT / "server") as server,
    ):
        page = ENGINES[given.engine](pages)
        try:
            run(page, wanted, server.index_url, kept, given.again)
        finally:
            page.quit()
    rows = [json.loads(kept_at(kept, name).read_text("utf-8")) for name in wanted]
    print(table.summary(rows))
    if not given.names:
        DOCUMENT.write_text(table.document(rows, given.engine), "utf-8")


if __name__ == "__main__":
    main()
