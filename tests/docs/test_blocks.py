"""The code blocks of the documents that need no browser are run, or read by their own parser."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.ground import (
    Ground,
    Shell,
    check_html,
    check_ini,
    check_javascript,
    check_json,
    check_toml,
    compile_python,
    file_name,
    ground,
)
from tests.docs.tables import READMES, Block, blocks, documents
from tests.jupyterlite import sites

READERS: dict[str, Callable[[Block, Path], None]] = {
    "html": check_html,
    "ini": lambda block, _: check_ini(block),
    "js": check_javascript,
    "json": lambda block, _: check_json(block),
    "python": lambda block, _: compile_python(block.text),
    "toml": lambda block, _: check_toml(block),
}


def is_for_shell(block: Block) -> bool:
    return block.language in {"sh", "console"} or bool(file_name(block))


ALL = [block for block in blocks() if block.not_run is None]
# The READMEs have the same commands, as another test says; those of the first one are run.
SHELL_PAGES = [
    name
    for name in documents()
    if name not in READMES[1:] and any(is_for_shell(b) for b in ALL if b.document == name)
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    sites.package()  # made here, where pip may ask PyPI, with JupyterLite's environment
    with ground(tmp_path_factory.mktemp("ground")) as started:
        yield started


NIGHTLY = {"docs/bundles.md", "docs/locks.md"}
"""Pages whose commands start Node with Pyodide each time; tests of bundling run the same ones."""


def block_of(language: str, text: str) -> Block:
    return Block("x.md", 1, language, text, None)


# --- run in a shell -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.nightly] * (name in NIGHTLY)) for name in SHELL_PAGES],
)
def test_the_commands_of_a_page_work_one_after_the_other(
    name: str, place: Ground, tmp_path: Path
) -> None:
    shell = Shell(tmp_path / "here", place)
    for block in (block for block in ALL if block.document == name and is_for_shell(block)):
        (shell.python if block.language == "python" else shell.run)(block)


WRONG_COMMANDS = (
    "$ pyodide-mirror check https://mirror.example/simple https://gone.example/simple\n",
    "$ pyodide-mirror check --no-such-option\n",
    "$ pyodide-mirror serve no-such-folder/ --offline\n",
    "$ pip install 'pyodide-mirror[no-such-extra]'\n",
    "$ nox -s no_such_session\n",
    "$ nox\n",
    "$ no-such-program\n",
    "$ jupyter lab\n",
    "$ python -m http.server --no-such-option\n",
    "$ true \\\n  && false\n",
    "$ true | false\n",
    "$ echo something\nelse\n",
    "$ echo first; echo second\nsecond\nfirst\n",
)


def test_commands_that_fail_or_print_something_else_are_noticed(
    place: Ground, tmp_path: Path
) -> None:
    shell = Shell(tmp_path / "here", place)
    for text in WRONG_COMMANDS:
        try:
            shell.run(block_of("console", text))
        except RuntimeError:
            continue
        pytest.fail(f"not noticed: {text}")


def test_what_pip_has_answered_once_is_its_answer_again(place: Ground, tmp_path: Path) -> None:
    shell = Shell(tmp_path / "here", place)
    wrong = block_of("console", "$ pip install 'pyodide-mirror[no-such-extra]'\n")
    outcomes = []
    for _ in range(2):
        with pytest.raises(RuntimeError, match="does not provide the extra") as failed:
            shell.run(wrong)
        outcomes.append(str(failed.value))
    assert outcomes[0] == outcomes[1]


# --- read by a parser ---------------------------------------------------------------------------


def test_what_is_read_makes_sense(tmp_path: Path) -> None:
    for block in ALL:
        if block.language in READERS and block.text[:1] != "%":  # a notebook's magics are no Python
            try:
                READERS[block.language](block, tmp_path)
            except (ValueError, SyntaxError, RuntimeError) as error:
                pytest.fail(f"{block.id}: {error}")


WRONG_TEXTS = (
    ("json", "{'a': 1}"),
    ("toml", "a = "),
    ("ini", "a = 1"),
    ("ini", "# nothing"),
    ("python", "await = 1"),
    ("html", "<p><b>x</p></b>"),
    ("html", "<p>"),
    ("html", "<script type='module'>const = 1</script>"),
    ("html", "<script type='py'>x = (</script>"),
    ("html", "<script type='text/x'>y</script>"),
    ("js", "const x = ;"),
)


def test_what_makes_no_sense_is_noticed(tmp_path: Path) -> None:
    for language, text in WRONG_TEXTS:
        try:
            READERS[language](block_of(language, text), tmp_path)
        except (ValueError, SyntaxError, RuntimeError):
            continue
        pytest.fail(f"not noticed: {language}: {text}")


def test_javascript_with_await_outside_functions_can_be_parsed(tmp_path: Path) -> None:
    check_javascript(block_of("js", "const x = await import('./y.mjs');"), tmp_path)
    check_html(block_of("html", "<script type=module>await 1</script><br>"), tmp_path)
    check_html(block_of("html", "<script type=py>await x()</script>"), tmp_path)
