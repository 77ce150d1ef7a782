"""What the documents say is what the package does."""

import re
from collections import Counter

import pytest

import pyodide_mirror
from pyodide_mirror import Reason
from tests.docs.ground import file_name
from tests.docs.tables import (
    PACKAGE,
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
    layers,
    links,
    modules_of,
    read,
    rooms,
    tokens,
)
from tests.zoo.zoo import ANIMALS

BROWSER = "run in a browser"
SHELL = "run in a shell"
READ = "read by its parser"
OUTPUT = "output"
OWN_TEST = "run by a test of its own"
NOT_RUN = "not run"
KINDS = {
    "python": BROWSER,
    "console": SHELL,
    "sh": SHELL,
    "html": READ,
    "ini": READ,
    "js": READ,
    "json": READ,
    "nginx": OWN_TEST,  # tests/host/server/test_nginx.py
    "toml": READ,
    "text": OUTPUT,
}


def kind(block: Block) -> str:
    """What becomes of a block; LookupError when nobody would look at it."""
    return NOT_RUN if block.not_run is not None else KINDS[block.language]


# --- code blocks --------------------------------------------------------------------------------


def test_every_block_is_run_or_says_why_not() -> None:
    for block in blocks():
        known = block.not_run is not None or block.language in KINDS
        assert known, f"{block.id}: the language {block.language!r}"
        assert block.not_run is None or len(block.not_run) > 20, f"{block.id}: why?"


def test_hardly_any_block_is_not_run() -> None:
    counts = Counter(kind(block) for block in blocks())
    assert counts[NOT_RUN] <= 14
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


def test_every_link_inside_the_repository_leads_somewhere() -> None:
    assert len(documents()) > 20
    broken = {name: broken_links(name) for name in documents()}
    assert {name: found for name, found in broken.items() if found} == {}


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


def elsewhere(name: str) -> list[str]:
    """Where the links of a README lead, those to the other READMEs left out."""
    return sorted(link for link in links(read(name)) if link not in READMES)


def figures(name: str) -> Counter[str]:
    """The numbers in the prose of a document."""
    prose = "".join(token.content for token in tokens(read(name)) if token.type == "inline")
    return Counter(re.findall(r"\d+(?:\.\d+)*", prose))


@pytest.mark.parametrize("name", READMES[1:])
def test_a_translated_readme_says_the_same(name: str) -> None:
    for part in (structure, commands, elsewhere, figures):
        assert part(name) == part(READMES[0]), part.__name__


def test_the_readmes_link_to_each_other_at_their_top() -> None:
    for name in READMES:
        top = read(name).split("\n\n")[1]
        assert set(links(top)) == set(READMES) - {name}, name


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


def test_the_figures_of_the_zoo_are_of_this_zoo() -> None:
    for name in ("README.md", "docs/comparison.md"):
        assert f"{len(ANIMALS)} kinds of imperfect mirror" in read(name), name


def code_words(name: str) -> set[str]:
    """What a document has in backquotes."""
    return {token.content for token in inline_code(read(name)) if token.type == "code_inline"}


def test_whoever_contributes_finds_every_module_session_and_folder_of_tests() -> None:
    folders = [path.parent for path in PACKAGE.glob("*/__init__.py")]
    modules = {path.stem for path in PACKAGE.rglob("*.py")} - {"__init__"}
    built = PACKAGE / "jupyterlite" / "labextension"
    scripts = {path.name for path in PACKAGE.rglob("*.js") if not path.is_relative_to(built)}
    sessions = set(
        re.findall(r"^@nox\.session\n(?:@.*\n)*def (\w+)", read("noxfile.py"), re.MULTILINE)
    )
    tests = {f"tests/{path.parent.name}" for path in (ROOT / "tests").glob("*/*.py")}
    assert "tests" in sessions
    wanted = {f"{folder.name}/" for folder in folders} | modules | scripts | sessions | tests
    assert wanted - code_words("CONTRIBUTING.md") == set()


def test_what_contributing_names_is_there() -> None:
    places = (ROOT, PACKAGE, ROOT / "tests" / "zoo")
    path = re.compile(r"(?:\w+/)+\w+\.\w+|\w+\.(?:md|py|toml)")
    named = {word for word in code_words("CONTRIBUTING.md") if path.fullmatch(word)}
    assert len(named) > 30
    assert [word for word in named if not any((place / word).exists() for place in places)] == []


def test_every_room_says_what_it_is() -> None:
    for within in ("pyodide_mirror", "pyodide_mirror.server"):
        rows = [line.split(" | ") for line in rooms(within).splitlines()[2:]]
        there = [room for layer in layers(within) for room in layer]
        assert [row[1].strip("`/") for row in rows] == there
        assert [row for row in rows if not re.fullmatch(r".{10,}\.", row[2])] == []
    assert {"build", "web/"} < set(modules_of(PACKAGE / "server"))
    assert sorted(modules_of(PACKAGE / "edge")) == ["file_hosts", "folder", "worker.js"]


def test_the_changelog_has_this_version() -> None:
    version = pyodide_mirror.__version__.partition(".dev")[0]
    assert f"## {version}" in read("CHANGELOG.md")


def test_a_file_that_a_block_is_has_a_name() -> None:
    (named,) = blocks_of("x.md", "```python\n# app.py\npass\n```\n")
    (unnamed,) = blocks_of("x.md", "```python\n# An app.\npass\n```\n")
    assert (file_name(named), file_name(unnamed)) == ("app.py", "")
