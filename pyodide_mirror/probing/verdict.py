"""The verdicts: what was observed, judged and ranked, without any I/O."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from pyodide_mirror.model import (
    File,
    Finding,
    HostKind,
    Mirror,
    Outcome,
    Reason,
    Support,
    host_kind,
    origin,
    split_http_url,
)
from pyodide_mirror.transport import Failure, FailureKind, PageFacts, Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Protocol

    class Judged(Protocol):
        """A verdict, on a mirror or on a CDN."""

        @property
        def repairs(self) -> tuple[Reason, ...]:
            """All that is repaired when it is used."""

        @property
        def support(self) -> Support:
            """How far it can be used."""


PRECEDENCE: Final = (
    # the request of the page
    Reason.BAD_URL,
    Reason.MIXED_CONTENT,
    Reason.LOCAL_NETWORK,
    Reason.CSP,
    Reason.OFFLINE,
    Reason.TIMEOUT,
    Reason.UNREACHABLE,
    Reason.CORS,
    Reason.HTTP_STATUS,
    Reason.NOT_AN_INDEX,
    Reason.MALFORMED,
    Reason.API_VERSION,
    # its files, or those of a CDN
    Reason.INCOMPLETE,
    Reason.FILES_BLOCKED,
    Reason.HASH_MISMATCH,
    # what is repaired
    Reason.HTML_ONLY,
    Reason.RELATIVE_URLS,
    Reason.WRONG_CONTENT_TYPE,
    Reason.METADATA_BROKEN,
    Reason.NO_HASHES,
    Reason.OK,
)
"""Of several findings the first in this order decides."""
_REASONS: Final = {
    FailureKind.CSP: Reason.CSP,
    FailureKind.TIMEOUT: Reason.TIMEOUT,
    FailureKind.TOO_LARGE: Reason.MALFORMED,
    FailureKind.CORS: Reason.CORS,
    FailureKind.UNREACHABLE: Reason.UNREACHABLE,
    FailureKind.CUT_OFF: Reason.UNREACHABLE,
}
"""The reasons of failures that need no further request."""
LAST_RESORT: Final = 2
UNUSABLE: Final = 3
_TIERS: Final = {Support.FULL: 0, Support.REPAIRED: 1, Support.NONE: UNUSABLE}


def refuse_mirror(mirror: Mirror, page: PageFacts, *, named: bool) -> Finding | None:
    """Why a mirror must not even be asked, or None.

    ``named``: the user gave its address, so that it may be private, if the browser permits that
    (Local Network Access).
    """
    if mirror.problem:
        return Finding(Reason.BAD_URL, mirror.problem)
    return refuse_url(origin(mirror.index_url), page, named=named)


def refuse_file_url(url: str, mirror: Mirror, page: PageFacts) -> Finding | None:
    """Why a file on a mirror's page must not be asked for, or None.

    A public mirror must not make the browser ask hosts of the user's own network.
    """
    private_mirror = host_kind(mirror.index_url) is not HostKind.PUBLIC
    finding = refuse_url(url, page, named=private_mirror)
    if finding is not None and finding.reason is not Reason.LOCAL_NETWORK:
        return Finding(Reason.FILES_BLOCKED, finding.detail, finding.reason.advice)
    return finding


def refuse_url(url: str, page: PageFacts, *, named: bool) -> Finding | None:
    """Why a URL must not even be asked for, or None; ``named``: the user gave its address."""
    kind = host_kind(url)
    host = split_http_url(url).netloc
    permission = page.permission(kind)
    if page.https and url.startswith("http:"):
        # Loopback is exempt (Secure Contexts, 3.1), private addresses with the permission only
        # (Local Network Access, "mixed content").
        exempt = kind is HostKind.LOOPBACK or (kind is HostKind.PRIVATE and permission == "granted")
        if not exempt:
            return Finding(Reason.MIXED_CONTENT, f"http address on the https page {page.origin}")
    if kind is HostKind.PUBLIC:
        return None
    if not named:
        return Finding(Reason.LOCAL_NETWORK, f"{host} is a {kind} address that you did not name")
    if page.host_kind is HostKind.PUBLIC and permission == "denied":
        what = f"this page is not permitted to ask {host}, a {kind} address"
        return Finding(Reason.LOCAL_NETWORK, what)
    return None


def explain_failure(failure: Failure, url: str, page: PageFacts, opaque: Failure | None) -> Finding:
    """Why the request of a page failed.

    ``opaque``: how an opaque (``no-cors``) request failed after it; None when it succeeded, which
    proves that something answers but may not be read (Fetch standard, 3.2).
    """
    offline = failure.kind is FailureKind.OFFLINE and host_kind(url) is not HostKind.LOOPBACK
    reason = Reason.OFFLINE if offline else _REASONS.get(failure.kind)
    if reason is not None:
        return Finding(reason, failure.detail)
    if opaque is not None and opaque.kind is FailureKind.CSP:
        return Finding(Reason.CSP, opaque.detail)
    if opaque is None:
        return Finding(
            Reason.CORS,
            "the mirror answers, but the browser does not let this page read the answer",
        )
    detail = f"{failure.detail}; a request without reading the answer (no-cors) fails as well"
    if page.isolated:
        detail += " (it may be CORS: this page's embedder policy blocks opaque requests too)"
    elif not page.tells_policies:
        detail += " (it may be the page's Content-Security-Policy: WebKit does not tell workers)"
    elif page.https and url.startswith("http:"):
        detail += " (some browsers block http from https pages even on this machine)"
    return Finding(Reason.UNREACHABLE, detail)


def status_finding(response: Response, project: str) -> Finding | None:
    """``http-status`` for an answer without success, or None."""
    if response.ok:
        return None
    what = f"HTTP {response.status}"
    if response.status == 404:  # RFC 9110, section 15.5.5
        what += f" for project {project!r}"
    return Finding(Reason.HTTP_STATUS, what)


def page_finding(finding: Finding, response: Response) -> Finding:
    """What is wrong with a page that cannot be parsed: this, unless it was cut off."""
    if response.is_short:
        return Finding(Reason.UNREACHABLE, Failure.cut_off(len(response.body)).detail)
    return finding


def file_failure(failure: Failure, file: File) -> Finding:
    """``files-blocked``: a file that cannot be read, whatever the cause."""
    # Without an opaque request nobody knows whether CORS is the cause.
    unknown = failure.kind in {FailureKind.NETWORK, FailureKind.CORS}
    known = Reason.OFFLINE if failure.kind is FailureKind.OFFLINE else _REASONS.get(failure.kind)
    hint = "" if unknown or known is None else known.advice
    return Finding(Reason.FILES_BLOCKED, f"{file.filename}: {failure.detail}", hint)


def check_bytes(file: File, response: Response) -> Finding | None:
    """What is wrong with a file that was read, or None."""
    if not response.ok:
        what = f"HTTP {response.status}"
        hint = f"Tell its operator that a listed file is answered with {what}; use another mirror."
        return Finding(Reason.FILES_BLOCKED, f"{file.filename}: {what}", hint)
    if not file.sha256:
        return Finding(Reason.NO_HASHES, f"{file.filename} is listed without a SHA-256")
    got = response.sha256
    if got == file.sha256:
        return None
    if response.is_short:
        return file_failure(Failure.cut_off(len(response.body)), file)
    what = f"{file.filename}: promised {file.sha256[:16]}…, got {got[:16]}…"
    return Finding(Reason.HASH_MISMATCH, what)


def check_metadata(file: File, response: Response | Failure) -> Finding | None:
    """What is wrong with a file's promised core metadata (PEP 658), or None."""
    if isinstance(response, Failure):
        fault = response.detail
    elif not response.ok:
        fault = f"HTTP {response.status}"
    else:
        fault = _metadata_fault(file, response.body)
    return Finding(Reason.METADATA_BROKEN, f"{file.filename}.metadata: {fault}") if fault else None


def _metadata_fault(file: File, body: bytes) -> str:
    promised = (file.metadata or {}).get("sha256")
    if promised and hashlib.sha256(body).hexdigest() != promised:
        return "does not match its SHA-256"
    # Core metadata starts with its version ("Metadata-Version ... should be the first field").
    if not body[:1024].lstrip().lower().startswith(b"metadata-version:"):
        return "is not core metadata"
    return ""


def judge(mirror: Mirror, findings: Sequence[Finding], elapsed_ms: float) -> Outcome:
    """The verdict on a mirror; without findings it is ``ok``."""
    decisive = min(
        findings,
        key=lambda finding: PRECEDENCE.index(finding.reason),
        default=Finding(Reason.OK, "page, wheel and metadata read and verified"),
    )
    repairs: tuple[Reason, ...] = ()
    if decisive.reason.support is Support.REPAIRED:
        found = {finding.reason for finding in findings}
        repairs = tuple(reason for reason in PRECEDENCE if reason in found)
    return Outcome(
        mirror=mirror,
        reason=decisive.reason,
        repairs=repairs,
        elapsed_ms=elapsed_ms,
        detail=decisive.detail,
        hint=decisive.hint or decisive.reason.advice,
    )


def tier(outcome: Judged) -> int:
    """How good a mirror is: 0 full, 1 repaired, 2 unverifiable (``no-hashes``), 3 not usable."""
    if Reason.NO_HASHES in outcome.repairs:
        return LAST_RESORT
    return _TIERS[outcome.support]


def rank(outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """The verdicts, best first: by tier, then by the time they took."""
    return tuple(sorted(outcomes, key=lambda outcome: (tier(outcome), outcome.elapsed_ms)))
