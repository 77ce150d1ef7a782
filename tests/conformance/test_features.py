import sys

import pytest

from tests.conformance import feature_stands, features
from tests.conformance.feature_probes import FEATURES
from tests.conformance.features import NO, NONE, Column, cells
from tests.docs.tables import Part, read


def ours() -> Column:
    return Column(
        "pyodide-mirror serve",
        "",
        feature_stands.ours,
        feature_stands.ROLES,
        {},
        (sys.executable, "-m", "pyodide_mirror", "serve", "--help"),
    )


@pytest.mark.nightly
def test_our_server_has_every_feature_of_the_table() -> None:
    assert [name for name, cell in cells(ours()).items() if cell in {NO, NONE}] == []


def test_a_feature_of_a_role_that_a_server_lacks_is_not_its_business() -> None:
    nothing = cells(Column("x", "1", None, (), {"metrics": "by a plugin*"}))
    assert nothing.pop("metrics") == "by a plugin*"
    assert set(nothing.values()) == {NONE}


def test_the_table_has_each_feature_and_server() -> None:
    lines = Part("docs/peers.md", "features", str).written().splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    assert [row[0] for row in rows[1:]] == [feature.name for feature in FEATURES]
    assert [name.rpartition(" ")[0] for name in rows[0]] == NAMES
    # `told` names features that there are.
    assert all(len(row) == len(NAMES) + 1 for row in rows[1:])
    assert "<!-- features: begin -->" in read("docs/peers.md")


NAMES = [
    "pyodide-mirror serve",
    "pypiserver",
    "proxpi",
    "devpi",
    "simple-repository-server",
    "bandersnatch",
]


def test_documented_cells_are_of_features_of_the_table() -> None:
    names = {feature.name for feature in FEATURES}
    for told in (features.OPEN, features.GUNICORN, features.BANDERSNATCH):
        assert set(told) <= names
        assert all(cell.endswith("*") for cell in told.values())
