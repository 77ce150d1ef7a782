"""The Python blocks of the documents run inside Pyodide, each page from its top to its end."""

import inspect
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.docs.ground import Ground, file_name, ground
from tests.docs.tables import READMES, Block, blocks
from tests.support.engines import Engine
from tests.zoo.table import run_inside

pytestmark = pytest.mark.engines("chromium")

# The READMEs have the same code, as another test says; that of the first one is run.
ALL = [
    block
    for block in blocks()
    if block.language == "python"
    and block.not_run is None
    and not file_name(block)
    and block.document not in READMES[1:]
]
PAGES = list(dict.fromkeys(block.document for block in ALL))


# --- inside Pyodide -----------------------------------------------------------------------------


async def run_blocks(texts: list[str], mirror: str) -> list[str]:
    """Run code as a notebook's kernel would, in one namespace; returns what is installed then.

    Where no mirrors are named, there is this one.
    """
    import importlib
    import os
    import shlex
    import sys
    import types
    from importlib.metadata import distributions

    import micropip
    from micropip.package_index import DEFAULT_INDEX_URLS
    from pyodide.code import eval_code_async

    import pyodide_mirror
    from pyodide_mirror.api import SESSION
    from pyodide_mirror.notebook import activate, deactivate

    class Shell:
        """As little of IPython as `%load_ext` needs."""

        def __init__(self) -> None:
            self.magics_manager = types.SimpleNamespace(magics={"line": {}})

        def register_magic_function(self, function: Any, kind: str, name: str) -> None:
            self.magics_manager.magics[kind][name] = function

    async def magic(name: str, line: str) -> object:
        if name == "pip":
            verb, *requirements = shlex.split(line)
            assert verb == "install"
            return await micropip.install(requirements)  # what piplite's own comes to
        if name == "load_ext":
            return importlib.import_module(line).load_ipython_extension(shell)
        return shell.magics_manager.magics["line"][name](line)

    def without_magics(text: str) -> str:
        lines = (line.partition(" ") for line in text.splitlines())
        return "\n".join(
            f"await magic({name[1:]!r}, {rest!r})" if name[:1] == "%" else f"{name}{space}{rest}"
            for name, space, rest in lines
        )

    shell = Shell()
    table, before = pyodide_mirror.MIRRORS, {one.name for one in distributions()}
    namespace = {"magic": magic}
    try:
        os.environ["PYODIDE_MIRROR_URLS"] = mirror
        pyodide_mirror.MIRRORS = (pyodide_mirror.Mirror(mirror),)  # type: ignore[misc]
        if any(line.startswith("%") for text in texts for line in text.splitlines()):
            sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell)  # type: ignore[assignment]
            activate(SESSION)  # as the kernels of a site do
        for text in texts:
            await eval_code_async(without_magics(text), namespace)
        importlib.invalidate_caches()
        return sorted({one.name for one in distributions()} - before)
    finally:
        pyodide_mirror.MIRRORS = table  # type: ignore[misc]
        del os.environ["PYODIDE_MIRROR_URLS"]
        deactivate(SESSION)
        sys.modules.pop("IPython", None)
        micropip.set_index_urls(list(DEFAULT_INDEX_URLS))
        await pyodide_mirror.clear_cache()
        importlib.invalidate_caches()
        if new := {one.name for one in distributions()} - before:
            micropip.uninstall(sorted(new))


# --- outside ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(tmp_path_factory.mktemp("ground")) as started:
        yield started


def run(page: Engine, place: Ground, texts: list[str]) -> list[str]:
    arguments = [place.localized(text) for text in texts], place.mirror
    code = f"{inspect.getsource(run_blocks)}\njson.dumps(await run_blocks(*{arguments!r}))"
    installed: list[str] = json.loads(run_inside(page, code))
    return installed


def is_said_to_install(block: Block) -> bool:
    return any(word in block.text for word in ("install(\n", 'install("', "%pip install"))


@pytest.mark.parametrize("document", PAGES)
def test_the_python_of_a_page_runs_from_top_to_end(
    page: Engine, place: Ground, document: str
) -> None:
    mine = [block for block in ALL if block.document == document]
    installed = run(page, place, [block.text for block in mine])
    text = "".join(block.text for block in mine if is_said_to_install(block))
    for project in ("acme-tool", "cowsay", "textual"):
        assert (project in installed) == (f'"{project}"' in text or f" {project}" in text)


def test_code_that_fails_is_noticed(page: Engine, place: Ground) -> None:
    for text in (
        "1 / 0",
        'import micropip\nawait micropip.install("no-such-project")',
        'from pyodide_mirror import install\nawait install("textual", mirrors="https://gone.example/simple")',
        "%no_such_magic",
    ):
        with pytest.raises(Exception, match="Error"):
            run(page, place, [text])


def test_magics_are_run(page: Engine, place: Ground) -> None:
    texts = ["%pip install textual\n", "%mirror\n", "import textual\n", "%pip install cowsay"]
    assert run(page, place, texts) == ["cowsay", "textual"]
