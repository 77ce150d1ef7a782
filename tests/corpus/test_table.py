"""The table of the corpus says what was found, whatever is in an error's text."""

from copy import deepcopy
from typing import Any

import pytest

from tests.corpus import run, table


def found(error: str = "", seconds: float = 1.0, **versions: str) -> dict[str, Any]:
    files = {} if error else {f"{name}.py": version for name, version in versions.items()}
    return {
        "error": error,
        "seconds": seconds,
        "files": files,
        "versions": {} if error else versions,
        "imports": {},
    }


MISSING = "ValueError: Can't find a pure Python 3 wheel for 'zdep>=2'.\nSee: ..."
ROWS = {
    "same": ({"zpkg": "1"}, found(zpkg="1"), found(zpkg="1")),
    "neither": ({"zpkg": "1"}, found(MISSING), found(MISSING)),
    "only ours": ({"zpkg": "1"}, found("TimeoutError: "), found(zpkg="1")),
    "only plain": ({"zpkg": "1"}, found(zpkg="1"), found("KeyError: 'a|b<c'")),
    "differs": ({"ZPkg": "2"}, found(zpkg="2"), found(zpkg="1")),
}
SAID = {
    "same": "zpkg: same, 1.0 → 1.0 s, pip same; ",
    "neither": "zpkg: neither, 1.0 → 1.0 s, pip same; no wheel for Pyodide: zdep",
    "only ours": "zpkg: only ours, 1.0 → 1.0 s, pip same; plain: took too long",
    "only plain": "zpkg: only plain, 1.0 → 1.0 s, pip same; ours: KeyError: 'a|b<c'",
    "differs": "zpkg: differs, 1.0 → 1.0 s, pip zpkg 1 (pip 2); ours has zpkg 1, plain zpkg 2",
}


def row(name: str) -> dict[str, Any]:
    versions, plain, ours = deepcopy(ROWS[name])
    pip = {"error": "", "versions": versions}
    return {"project": "zpkg", "pip": pip, "plain": plain, "ours": ours}


@pytest.mark.parametrize("name", ROWS)
def test_a_line_says_what_was_found(name: str) -> None:
    assert table.verdict(row(name)) == name
    assert table.line(row(name)) == SAID[name]


def test_other_files_and_broken_imports_are_named() -> None:
    other = row("same")
    other["ours"]["files"] = {"zpkg.py": "2"}
    assert table.line(other).endswith("; 1 files, such as zpkg.py")
    broken = row("same")
    broken["ours"]["imports"] = {"zpkg": "ImportError: no _ssl", "zother": ""}
    assert table.line(broken).endswith("; import zpkg: ImportError: no _ssl")


def test_the_page_counts_and_escapes() -> None:
    page = table.document([row(name) for name in ROWS], "chromium")
    assert "1 same, 1 neither, 1 only ours, 1 only plain, 1 differs" in page
    assert r"ours: KeyError: 'a\|b\<c'" in page
    assert all(line.count(" | ") == 5 for line in page.splitlines() if line.startswith("| zpkg"))


def test_requests_that_conflict_have_a_table_of_their_own() -> None:
    both = {**row("only ours"), "project": "zdep zpkg<2"}
    before, after = table.document([row("same"), both], "chromium").split("## Requests")
    assert "The 1 most used" in before
    assert "| zpkg | same |" in before
    assert "zdep" not in before
    assert r"| zdep zpkg\<2 | only ours |" in after


def test_the_list_has_each_package_once() -> None:
    listed = run.names(1000)
    assert len(listed) == len(set(listed)) >= 300
    assert run.names(3) == listed[:3]
