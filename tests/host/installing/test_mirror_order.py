"""Who may answer for a project."""

import pytest

from pyodide_mirror.model import Mirror
from tests.support.fake_web import ACME, PRIVATE, A, B, C, order_of


def mirrors_for(project: str, *mirrors: Mirror) -> list[Mirror]:
    return [one.mirror for one in order_of(*mirrors).mirrors_for(project)]


@pytest.mark.parametrize("project", ["demo", "acme-tools"])
def test_an_index_that_names_a_project_is_the_only_one_to_answer_for_it(project: str) -> None:
    assert mirrors_for(project, A, PRIVATE, ACME) == [ACME]


def test_an_index_that_names_projects_answers_for_no_others() -> None:
    assert mirrors_for("acme", A, ACME, B) == [A, B]


def test_two_indexes_that_name_a_project_keep_their_order() -> None:
    other = Mirror("https://other.example", projects=("*",))
    assert mirrors_for("demo", other, A, ACME) == [other, ACME]
    assert mirrors_for("else", other, A, ACME) == [other]


def test_private_mirrors_come_first_and_the_order_is_kept_otherwise() -> None:
    second = Mirror("https://second.example", private=True)
    assert mirrors_for("demo", B, PRIVATE, A, second, C) == [PRIVATE, second, B, A, C]


def test_a_project_is_claimed_when_an_index_names_it() -> None:
    order = order_of(A, PRIVATE, ACME)
    claimed = {name for name in ("demo", "acme-x", "acme", "else") if order.is_claimed(name)}
    assert claimed == {"demo", "acme-x"}
