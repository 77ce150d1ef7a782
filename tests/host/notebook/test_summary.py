"""The line that tells a notebook which mirror installs, and what it asks of its user."""

import pytest

from pyodide_mirror.model import Mirror, Outcome, Reason
from pyodide_mirror.notebook.extension import show_mirrors, summary
from pyodide_mirror.reporting import Report

A, B, C = (Mirror(f"https://{letter}.example/simple") for letter in "abc")


def test_the_chosen_mirror_is_named_with_its_repairs_and_why_not_the_others() -> None:
    repairs = (Reason.HTML_ONLY, Reason.NO_HASHES)
    outcomes = (
        Outcome(mirror=A, reason=Reason.HTML_ONLY, repairs=repairs),
        Outcome(mirror=B, reason=Reason.CORS),
    )
    line = summary(Report(A, outcomes, (C,)))
    assert line.startswith(
        "pyodide_mirror: installs through a.example (html-only + no-hashes);"
        " not through b.example (cors); 1 not tested. "
    )


def test_without_others_there_is_only_the_chosen_one() -> None:
    line = summary(Report(A, (Outcome(mirror=A, reason=Reason.OK),)))
    assert line.startswith("pyodide_mirror: installs through a.example. ")


def test_without_a_mirror_that_works_it_says_so() -> None:
    report = Report(None, (Outcome(mirror=A, reason=Reason.CORS),))
    assert summary(report) == "pyodide_mirror: no mirror works from here"


def test_nothing_in_it_controls_the_notebook() -> None:
    named = Mirror("https://a.example/simple", name="\x1b[2J\nfine")
    line = summary(Report(named, (Outcome(mirror=named, reason=Reason.OK),)))
    assert line.isprintable()


def test_the_magic_takes_no_arguments() -> None:
    with pytest.raises(ValueError, match="%mirror takes no arguments"):
        show_mirrors(" now")
