"""Fixtures for the page: a folder with it, a server of that, and a Chromium."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

import pytest

from demo.screenshots import Chromium, bare
from demo.server import serve_folder
from demo.site import Site
from pyodide_mirror import CDN
from pyodide_mirror.loader import LocalFolder
from pyodide_mirror.loader import folder as loader_folder
from tests.support.compiled import compiled_core, compiled_dist

Serve = Callable[..., str]
"""Serve a page with these CDNs and settings below a path; return its address.

It asks the CDNs for Pyodide; without any, Pyodide is in its own folder.
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """A Chromium to which no host has a name: it reaches this machine, and nothing else.

    `page.test` is this machine, too, and what comes from there is no secure context.
    """
    rules = "MAP page.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    with bare("chromium", f"--host-resolver-rules={rules}") as engine:
        assert isinstance(engine, Chromium)
        yield engine


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serve pages of one's own."""
    dist = compiled_dist()
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(loader_folder, "core_files", compiled_core)

        def serve(path: str, settings: Mapping[str, object], cdns: Sequence[CDN] = ()) -> str:
            root = tmp_path_factory.mktemp("root")
            sources = (LocalFolder(dist), *cdns)
            lock = dist / "pyodide-lock.json"
            Site(sources=sources, lock=lock, settings=settings).write(root / path)
            return f"{stack.enter_context(serve_folder(root))}{path}/"

        yield serve
