"""Fixtures for the page: a folder with it, a server of that, and a Chromium."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from demo.screenshots import Chromium, bare
from demo.server import serve_folder
from demo.site import Site
from tests.support import provision
from tests.support.compiled import compiled_dist

Serve = Callable[..., str]
"""Serve a page with these homes of Pyodide and settings below a path; return its address."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """A Chromium to which no host has a name: it reaches this machine, and nothing else."""
    with bare("chromium", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1") as engine:
        assert isinstance(engine, Chromium)
        yield engine


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serve pages of one's own; Pyodide is in the folder `pyodide` beside each."""
    wheel = provision.browser_wheel()
    with ExitStack() as stack:

        def serve(path: str, prepare: Callable[[Path], None] | None = None, **site: object) -> str:
            root = tmp_path_factory.mktemp("root")
            folder = root / path
            Site(wheel=(wheel.name, wheel.read_bytes()), **site).write(folder)
            (folder / "pyodide").symlink_to(compiled_dist(), target_is_directory=True)
            if prepare:
                prepare(folder)
            return f"{stack.enter_context(serve_folder(root))}{path}/"

        yield serve
