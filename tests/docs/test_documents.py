"""What the documents say is what the package does."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

import pyodide_mirror
from pyodide_mirror import Reason
from tests.docs.ground import file_name
from tests.docs.tables import (
    PARTS,
    READMES,
    ROOT,
    Block,
    Part,
    anchors,
    blocks,
    blocks_of,
    broken_links,
    documents,
    inline_code,
    links,
    read,
    tokens,
)
from tests.zoo.zoo import ANIMALS

BROWSER = "run in a browser"
SHELL = "run in a shell"
READ = "read by its parser"
OUTPUT = "output"
NOT_RUN = "not run"
KINDS = {
    "python": BROWSER,
    "console": SHELL,
    "sh": SHELL,
    "html": READ,
    "ini": READ,
    "js": READ,
    "json": READ,
    "toml": READ,
    "text": OUTPUT,
}


def kind(block: Block) -> str:
    """What becomes of a block; LookupError when nobody would look at it."""
    return NOT_RUN if block.not_run is not None else KINDS[block.language]


# --- code blocks --------------------------------------------------------------------------------


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.id)
def test_every_block_is_run_or_says_why_not(block: Block) -> None:
    assert kind(block)
    assert block.not_run is None or len(block.not_run) > 20, "why?"


def test_hardly_any_block_is_not_run() -> None:
    counts = Counter(kind(block) for block in blocks())
    assert counts[NOT_RUN] <= 12
    assert counts[BROWSER] + counts[SHELL] > 40


def test_a_block_without_a_known_language_is_refused() -> None:
    for language in ("", "pyhton", "yaml"):
        (block,) = blocks_of("x.md", f"```{language}\nx\n```\n")
        with pytest.raises(LookupError):
            kind(block)


def test_only_a_comment_right_before_a_block_is_of_it() -> None:
    fence = "```nginx\nx\n```\n"
    marked, after_text, second = blocks_of(
        "x.md",
        f"<!-- not run: no nginx here -->\n{fence}\n"
        f"<!-- not run: no -->\n\nText.\n\n{fence}\n{fence}",
    )
    assert marked.not_run == "no nginx here"
    assert after_text.not_run is second.not_run is None
    (unreasoned,) = blocks_of("x.md", f"<!-- not run: -->\n{fence}")
    assert unreasoned.not_run == ""
    (directive_apart,) = blocks_of("x.md", "```{note}\nx\n```\n~~~python\npass\n~~~\n")
    assert (directive_apart.language, directive_apart.text) == ("python", "pass\n")


def test_a_block_in_a_list_is_found() -> None:
    (block,) = blocks_of("x.md", "- text\n\n  ```python\n  pass\n  ```\n")
    assert (block.line, block.text) == (3, "pass\n")


# --- links --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", documents())
def test_every_link_inside_the_repository_leads_somewhere(name: str) -> None:
    assert broken_links(name) == []


def test_every_link_is_looked_at() -> None:
    text = "[a](b.md#c) ![d](e.png) <https://f.example>\n\n| x |\n|---|\n| [g](h.md) |\n"
    assert links(text) == ["b.md#c", "e.png", "https://f.example", "h.md"]


def test_anchors_are_those_of_github() -> None:
    text = "# The `code`: a test!\n\n## 1. Übung, twice\n\n## 1. Übung, twice\n\nSetext\n---\n"
    assert anchors(text) == {"the-code-a-test", "1-übung-twice", "1-übung-twice-1", "setext"}


def test_every_page_is_in_a_table_of_contents() -> None:
    index = read("docs/index.md")
    trees = re.findall(r"^```\{toctree\}\n(.*?)^```", index, re.DOTALL | re.MULTILINE)
    listed = [line for tree in trees for line in tree.splitlines() if line and line[0] != ":"]
    pages = [path.stem for path in (ROOT / "docs").glob("*.md") if path.name != "index.md"]
    assert sorted(listed) == sorted(pages)


# --- the three READMEs --------------------------------------------------------------------------


def structure(name: str) -> list[str]:
    """The skeleton of a document: its headings by level, paragraphs, lists, images, blocks."""
    return [
        f"{token.tag}{token.info}" + "".join("!" for c in token.children or () if c.type == "image")
        for token in tokens(read(name))
    ]


def commands(name: str) -> list[str]:
    """The code blocks of a document without comments and the space before them."""
    return [re.sub(r" *# .*", "", block.text) for block in blocks_of(name, read(name))]


@pytest.mark.parametrize("name", READMES[1:])
def test_the_readmes_have_the_same_sections_and_commands(name: str) -> None:
    assert structure(name) == structure(READMES[0])
    assert commands(name) == commands(READMES[0])


@pytest.mark.parametrize("name", READMES[1:])
def test_the_readmes_link_to_the_same_places(name: str) -> None:
    def elsewhere(document: str) -> list[str]:
        return sorted(link for link in links(read(document)) if link not in READMES)

    assert elsewhere(name) == elsewhere(READMES[0])


@pytest.mark.parametrize("name", READMES)
def test_a_readme_links_to_the_others_at_its_top(name: str) -> None:
    top = read(name).split("\n\n")[1]
    assert set(links(top)) == set(READMES) - {name}


@pytest.mark.parametrize("name", READMES)
def test_the_readmes_have_the_same_figures(name: str) -> None:
    def figures(document: str) -> Counter[str]:
        prose = "".join(t.content for t in tokens(read(document)) if t.type == "inline")
        return Counter(re.findall(r"\d+(?:\.\d+)*", prose))

    assert figures(name) == figures(READMES[0])


# --- what is made from the code -----------------------------------------------------------------


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_what_is_made_from_the_code_is_what_it_would_be(part: Part) -> None:
    # Pythons differ in where the lines of a usage break.
    assert part.written().split() == part.make().split(), "run: python -m tests.docs.tables"


def test_a_page_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="marks of 'nothing'"):
        Part("docs/reasons.md", "nothing", str).written()


def test_every_reason_is_explained() -> None:
    text = read("docs/reasons.md")
    assert all(f"| `{reason}` | {reason.support} |" in text for reason in Reason)


def test_the_reference_has_every_public_name() -> None:
    documented = re.findall(
        r"^\.\. [\w:]+:: pyodide_mirror\.(\w+)$", read("docs/reference.md"), re.MULTILINE
    )
    assert sorted(documented) == sorted(pyodide_mirror.__all__)


@pytest.mark.parametrize("name", ["README.md", "docs/comparison.md"])
def test_the_figures_of_the_zoo_are_of_this_zoo(name: str) -> None:
    assert f"{len(ANIMALS)} kinds of imperfect mirror" in read(name)


def test_whoever_contributes_finds_every_module_and_session() -> None:
    words = {t.content for t in inline_code(read("CONTRIBUTING.md")) if t.type == "code_inline"}
    package = ROOT / "pyodide_mirror"
    modules = {path.stem for path in package.glob("*.py")}
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    noxfile = (ROOT / "noxfile.py").read_text("utf-8")
    sessions = set(re.findall(r"^@nox\.session\n(?:@.*\n)*def (\w+)", noxfile, re.MULTILINE))
    assert "tests" in sessions
    assert modules | folders | sessions <= words


def rooms() -> dict[str, int]:
    """Modules and the number of their room, as the list of rooms has them, from above."""
    section = read("CONTRIBUTING.md").partition("## The rooms")[2].partition("\n## ")[0]
    rows = [line.split("|")[2] for line in section.splitlines() if line.startswith("| ")][1:]
    return {
        module: number
        for number, row in enumerate(rows)
        for module in re.findall(r"`(\w+)/?`", row)
    }


def imported(module: Path) -> set[str]:
    """What a module imports of the package when it is imported itself, types apart."""
    found = set()
    for node in ast.parse(module.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            beside = [alias.name for alias in node.names]
            names = [node.module.partition(".")[0]] if node.module else beside
            found |= {name if name in rooms() else "__init__" for name in names}
    return found


def test_imports_look_upward_in_the_list_of_rooms() -> None:
    room = rooms()
    modules = sorted((ROOT / "pyodide_mirror").glob("*.py"))
    assert len(modules) > 30
    downward = [
        f"{module.stem} imports {name}"
        for module in modules
        for name in imported(module)
        if room[name] > room[module.stem]
    ]
    assert downward == []


def test_the_changelog_has_this_version() -> None:
    version = pyodide_mirror.__version__.partition(".dev")[0]
    assert f"## {version}" in read("CHANGELOG.md")


def test_a_file_that_a_block_is_has_a_name() -> None:
    (named,) = blocks_of("x.md", "```python\n# app.py\npass\n```\n")
    (unnamed,) = blocks_of("x.md", "```python\n# An app.\npass\n```\n")
    assert (file_name(named), file_name(unnamed)) == ("app.py", "")
