"""With what error an install ends."""

import pytest

from pyodide_mirror import DigestMismatch, IncompleteInstall, MirrorError, Report
from pyodide_mirror.installing.faults import InstallFaults

REPORT = Report(None, (), ())
MICROPIPS = ValueError("Can't find a pure Python 3 wheel")


@pytest.fixture
def faults():
    return InstallFaults()


def mismatch(project):
    return DigestMismatch(f"{project}.whl", "a" * 64, "b" * 64)


def test_without_a_fault_of_ours_it_is_micropips_error(faults):
    assert faults.error_for(MICROPIPS, REPORT) is MICROPIPS


def test_lost_projects_are_named_in_order_with_the_report(faults):
    faults.lost |= {"zoo-b", "zoo-a"}
    error = faults.error_for(MICROPIPS, REPORT)
    assert isinstance(error, IncompleteInstall)
    assert error.report is REPORT
    text = str(error)
    assert 0 <= text.index("zoo-a") < text.index("zoo-b")


def test_wrong_bytes_everywhere_are_told_before_what_was_lost(faults):
    wrong = mismatch("zoo-b")
    faults.lost |= {"zoo-a", "zoo-b"}
    faults.mismatches["zoo-b"] = wrong
    assert faults.error_for(MICROPIPS, REPORT) is wrong


def test_wrong_bytes_of_what_came_from_elsewhere_in_the_end_are_no_error(faults):
    faults.mismatches["zoo-b"] = mismatch("zoo-b")
    assert faults.error_for(MICROPIPS, REPORT) is MICROPIPS


def test_what_ends_an_install_wins_and_micropip_is_told_as_of_a_failed_request(faults):
    fatal = MirrorError("no other mirror may answer")
    told = faults.end(fatal)
    assert isinstance(told, OSError)
    assert str(told) == str(fatal)
    faults.lost.add("zoo-a")
    faults.mismatches["zoo-a"] = mismatch("zoo-a")
    assert faults.error_for(MICROPIPS, REPORT) is fatal
