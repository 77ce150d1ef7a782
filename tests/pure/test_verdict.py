"""Verdicts from what was seen, and their order."""

import hashlib
import itertools

from pyodide_mirror.model import File, Finding, HostKind, Mirror, Outcome, Reason, Support
from pyodide_mirror.probing import check_bytes, check_metadata, rank, refuse_file_url
from pyodide_mirror.probing.verdict import (
    PRECEDENCE,
    explain_failure,
    file_failure,
    judge,
    refuse_mirror,
    status_finding,
)
from pyodide_mirror.transport import Failure, FailureKind, PageFacts, Response

MIRROR = Mirror("https://mirror.example/simple")
HTTP = PageFacts(origin="http://app.example")
HTTPS = PageFacts(origin="https://app.example")


def test_every_reason_has_its_place():
    assert set(PRECEDENCE) == set(Reason)


def test_nothing_found_is_ok():
    outcome = judge(MIRROR, [], 12.0)
    assert (outcome.reason, outcome.support, outcome.repairs) == (Reason.OK, Support.FULL, ())


def test_all_repairs_are_kept_and_the_first_names_the_verdict():
    found = [Finding(r, "x") for r in (Reason.NO_HASHES, Reason.METADATA_BROKEN, Reason.HTML_ONLY)]
    outcome = judge(MIRROR, found, 1.0)
    assert outcome.reason is Reason.HTML_ONLY
    assert outcome.repairs == (Reason.HTML_ONLY, Reason.METADATA_BROKEN, Reason.NO_HASHES)


def test_a_blocked_file_wins_over_repairs():
    found = [Finding(Reason.RELATIVE_URLS, "x"), Finding(Reason.FILES_BLOCKED, "the file")]
    outcome = judge(MIRROR, found, 1.0)
    assert (outcome.reason, outcome.repairs, outcome.detail) == (
        Reason.FILES_BLOCKED,
        (),
        "the file",
    )


def test_precedence_is_that_of_the_documentation():
    for better, worse in itertools.pairwise(PRECEDENCE):
        found = [Finding(worse, "worse"), Finding(better, "better")]
        assert judge(MIRROR, found, 0.0).reason is better


def test_mirrors_that_must_not_be_asked():
    for index_url, page, named, reason in (
        ("https://mirror.example/simple", HTTPS, False, None),
        ("http://mirror.example/simple", HTTP, False, None),
        ("http://mirror.example/simple", HTTPS, True, Reason.MIXED_CONTENT),
        ("http://127.0.0.1:80/simple", HTTPS, True, None),
        ("http://127.0.0.1:80/simple", HTTPS, False, Reason.LOCAL_NETWORK),
        ("http://10.0.0.1/simple", HTTPS, True, Reason.MIXED_CONTENT),
        ("http://10.0.0.1/simple", HTTP, True, None),
        ("http://10.0.0.1/simple", HTTP, False, Reason.LOCAL_NETWORK),
        ("https://pypi.local/simple", HTTPS, True, None),
        ("https://pypi.local/simple", HTTPS, False, Reason.LOCAL_NETWORK),
        ("http://127.0.0.1:80/simple", PageFacts(), True, None),
    ):
        finding = refuse_mirror(Mirror(index_url), page, named=named)
        assert (finding and finding.reason) == reason, (index_url, page, named)


def test_a_private_http_mirror_may_be_asked_from_https_where_the_permission_is_granted():
    page = PageFacts(origin="https://app.example", local_network="granted")
    assert refuse_mirror(Mirror("http://10.0.0.1/simple"), page, named=True) is None


def test_a_denied_permission_refuses_private_mirrors_on_public_pages_only():
    mirror = Mirror("http://127.0.0.1:8000/simple")
    for state in ("denied", "prompt", "granted"):
        public = PageFacts(origin="https://app.example", loopback_network=state)
        local = PageFacts("http://127.0.0.1:1", HostKind.LOOPBACK, loopback_network=state)
        finding = refuse_mirror(mirror, public, named=True)
        assert (finding is not None) == (state == "denied"), state
        assert refuse_mirror(mirror, local, named=True) is None, state


def test_a_bad_url_from_the_environment_is_a_verdict():
    bad = Mirror.from_untrusted("https://user:secret@mirror.example")
    finding = refuse_mirror(bad, HTTPS, named=True)
    assert finding is not None
    assert finding.reason is Reason.BAD_URL
    assert "secret" not in finding.detail + bad.name + bad.index_url


def test_a_public_mirror_must_not_point_into_the_local_network():
    for url in ("http://192.168.1.1/x.whl", "http://localhost/x.whl", "http://0x7f.1/x.whl"):
        finding = refuse_file_url(url, MIRROR, HTTP)
        assert finding is not None
        assert finding.reason is Reason.LOCAL_NETWORK
    private = Mirror("http://10.0.0.1/simple")
    assert refuse_file_url("http://192.168.1.1/x.whl", private, HTTP) is None


def test_mixed_content_of_a_file_is_a_blocked_file():
    finding = refuse_file_url("http://files.example/x.whl", MIRROR, HTTPS)
    assert finding is not None
    assert finding.reason is Reason.FILES_BLOCKED


NETWORK = Failure(FailureKind.NETWORK, "failed")


def test_failures_that_speak_for_themselves():
    for kind, reason in (
        (FailureKind.CSP, Reason.CSP),
        (FailureKind.TIMEOUT, Reason.TIMEOUT),
        (FailureKind.OFFLINE, Reason.OFFLINE),
        (FailureKind.CORS, Reason.CORS),
        (FailureKind.TOO_LARGE, Reason.MALFORMED),
        (FailureKind.CUT_OFF, Reason.UNREACHABLE),
        (FailureKind.UNREACHABLE, Reason.UNREACHABLE),
        (FailureKind.NETWORK, Reason.UNREACHABLE),
    ):
        url = "https://mirror.example/simple/x/"
        assert explain_failure(Failure(kind, "x"), url, HTTPS, NETWORK).reason is reason, kind


def test_an_opaque_answer_means_cors():
    url = "https://mirror.example/simple/x/"
    assert explain_failure(NETWORK, url, HTTPS, None).reason is Reason.CORS


def test_a_policy_that_is_told_late_is_named_all_the_same():
    late = Failure(FailureKind.CSP, "blocked by connect-src")
    finding = explain_failure(NETWORK, "https://mirror.example/simple/x/", HTTPS, late)
    assert finding == Finding(Reason.CSP, "blocked by connect-src")


def test_where_the_embedder_policy_hides_it_the_detail_says_so():
    isolated = PageFacts("https://app.example", isolated=True)
    finding = explain_failure(NETWORK, "https://mirror.example/simple/x/", isolated, NETWORK)
    assert finding.reason is Reason.UNREACHABLE
    assert "may be CORS" in finding.detail


def test_status():
    assert status_finding(Response(url="x", status=204), "p") is None
    finding = status_finding(Response(url="x", status=404), "p")
    assert finding == Finding(Reason.HTTP_STATUS, "HTTP 404 for project 'p'")


def file(data=b"data", **changes):
    fields = {"hashes": {"sha256": hashlib.sha256(data).hexdigest()}} | changes
    return File(filename="a.whl", url="https://f.example/a.whl", **fields)


def answer(body=b"data", status=200):
    return Response(url="x", status=status, body=body)


def test_files():
    assert check_bytes(file(), answer()) is None
    for response, hashes, reason in (
        (answer(status=404), None, Reason.FILES_BLOCKED),
        (answer(b"other"), None, Reason.HASH_MISMATCH),
        (answer(), {}, Reason.NO_HASHES),
        (answer(), {"md5": "ab" * 16}, Reason.NO_HASHES),
    ):
        subject = file() if hashes is None else file(hashes=hashes)
        finding = check_bytes(subject, response)
        assert finding is not None
        assert finding.reason is reason


def test_the_advice_on_a_file_fits_what_was_seen():
    def hint(finding):
        return judge(MIRROR, [finding], 1.0).hint

    cors = Reason.FILES_BLOCKED.advice
    assert "Access-Control-Allow-Origin" in cors
    for kind, advice in (
        (FailureKind.NETWORK, cors),
        (FailureKind.CORS, cors),
        (FailureKind.CSP, Reason.CSP.advice),
        (FailureKind.TIMEOUT, Reason.TIMEOUT.advice),
        (FailureKind.OFFLINE, Reason.OFFLINE.advice),
        (FailureKind.UNREACHABLE, Reason.UNREACHABLE.advice),
        (FailureKind.CUT_OFF, Reason.UNREACHABLE.advice),
    ):
        assert hint(file_failure(Failure(kind, "x"), file())) == advice, kind
    for status in (403, 404, 500):
        finding = check_bytes(file(), answer(status=status))
        assert f"HTTP {status}" in hint(finding)
        assert "Access-Control" not in hint(finding)
    mixed = refuse_file_url("http://files.example/x.whl", MIRROR, HTTPS)
    assert hint(mixed) == Reason.MIXED_CONTENT.advice


METADATA = b"Metadata-Version: 2.1\nName: a\n"


def test_core_metadata():
    for response, promised, broken in (
        (answer(METADATA), METADATA, False),
        (answer(METADATA), None, False),
        (answer(b"<html>"), None, True),
        (answer(METADATA + b"x"), METADATA, True),
        (answer(METADATA, 404), METADATA, True),
        (NETWORK, METADATA, True),
    ):
        digests = {"sha256": hashlib.sha256(promised).hexdigest()} if promised else {}
        finding = check_metadata(file(metadata=digests), response)
        assert (finding is not None) == broken, (response, promised)


def outcome(reason, elapsed, repairs=()):
    return Outcome(mirror=MIRROR, reason=reason, elapsed_ms=elapsed, repairs=repairs)


def test_ranking_is_by_use_then_by_time():
    slow = outcome(Reason.OK, 90)
    fast = outcome(Reason.OK, 10)
    repaired = outcome(Reason.HTML_ONLY, 5, (Reason.HTML_ONLY,))
    unhashed = outcome(Reason.HTML_ONLY, 1, (Reason.HTML_ONLY, Reason.NO_HASHES))
    dead = outcome(Reason.CORS, 0)
    assert rank([dead, unhashed, repaired, slow, fast]) == (fast, slow, repaired, unhashed, dead)
