"""What is said when neither a readable nor an opaque request comes through."""

from pyodide_mirror.model import Finding, Reason
from pyodide_mirror.probing.verdict import explain_failure, page_finding
from pyodide_mirror.transport import Failure, FailureKind, PageFacts, Response

FAILED = Failure(FailureKind.NETWORK, "Failed to fetch")
URL = "https://mirror.example/simple/demo/"
LOOPBACK = "http://127.0.0.1:80/simple/demo/"
HTTPS = "https://app.example"


def unreachable(page, url=URL):
    found = explain_failure(FAILED, url, page, FAILED)
    assert found.reason is Reason.UNREACHABLE
    return found.detail


def test_what_else_it_may_be_is_said_where_the_page_hides_it():
    plain = unreachable(PageFacts(origin=HTTPS))
    isolated = unreachable(PageFacts(origin=HTTPS, isolated=True))
    worker = unreachable(PageFacts(origin=HTTPS, tells_policies=False))
    assert plain.startswith("Failed to fetch; ")
    assert isolated.startswith(plain)
    assert "embedder policy" in isolated.removeprefix(plain)
    assert worker.startswith(plain)
    assert "Content-Security-Policy" in worker.removeprefix(plain)


def test_http_on_an_https_page_is_a_cause_of_its_own():
    plain = unreachable(PageFacts(origin="http://app.example"), LOOPBACK)
    assert plain == unreachable(PageFacts(origin=HTTPS))
    mixed = unreachable(PageFacts(origin=HTTPS), LOOPBACK)
    assert mixed.startswith(plain)
    assert "https pages" in mixed.removeprefix(plain)


def test_a_page_that_was_cut_off_is_not_judged_by_what_is_left():
    finding = Finding(Reason.NOT_AN_INDEX, "no JSON")
    whole = Response(url=URL, status=200, headers={"content-length": "3"}, body=b"{}x")
    short = Response(url=URL, status=200, headers={"content-length": "9"}, body=b"{}x")
    assert page_finding(finding, whole) is finding
    assert page_finding(finding, short).reason is Reason.UNREACHABLE
