"""The words of verdicts."""

from pyodide_mirror import Reason, Support


def test_support_and_reason_are_strings():
    assert f"{Reason.NOT_AN_INDEX}" == "not-an-index"
    assert Support.FULL == "full"


def test_every_reason_has_its_words():
    for reason in Reason:
        assert reason.explanation.endswith("."), reason
        assert reason.advice.endswith("."), reason
