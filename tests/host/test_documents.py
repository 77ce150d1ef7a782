"""What the documents say is what the package does."""

from pathlib import Path

import pytest

import pyodide_mirror
from pyodide_mirror import Reason

ROOT = Path(__file__).parents[2]


def table() -> str:
    """Return the table of reasons, as the documents have it."""
    rows = ["| verdict | support | what it means | what to do |", "|---|---|---|---|"]
    rows += [f"| `{r}` | {r.support} | {r.explanation} | {r.advice} |" for r in Reason]
    return "\n".join(rows)


@pytest.mark.parametrize("name", ["README.md", "docs/reasons.md"])
def test_the_documents_have_the_table_of_reasons(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert f"<!-- reasons: begin -->\n{table()}\n<!-- reasons: end -->" in text


def test_the_changelog_has_this_version() -> None:
    version = pyodide_mirror.__version__.partition(".dev")[0]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
