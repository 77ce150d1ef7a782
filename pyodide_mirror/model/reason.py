"""The words of a verdict: its reason, and how far a mirror can be used."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Support(StrEnum):
    """How far a mirror can be used from here."""

    __module__ = "pyodide_mirror"  # where users find it

    FULL = "full"
    """PEP 691 with absolute URLs to readable, hashed files."""
    REPAIRED = "repaired"
    """Usable because its pages are changed on the way to micropip."""
    NONE = "none"
    """Not usable."""


class Reason(StrEnum):
    """Why a mirror got its verdict; the order is the order of the table in the documentation."""

    __module__ = "pyodide_mirror"  # where users find it

    OK = "ok"
    HTML_ONLY = "html-only"
    RELATIVE_URLS = "relative-urls"
    WRONG_CONTENT_TYPE = "wrong-content-type"
    METADATA_BROKEN = "metadata-broken"
    NO_HASHES = "no-hashes"
    OFFLINE = "offline"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    CORS = "cors"
    HTTP_STATUS = "http-status"
    NOT_AN_INDEX = "not-an-index"
    MALFORMED = "malformed"
    API_VERSION = "api-version"
    FILES_BLOCKED = "files-blocked"
    HASH_MISMATCH = "hash-mismatch"
    MIXED_CONTENT = "mixed-content"
    CSP = "csp"
    LOCAL_NETWORK = "local-network"
    BAD_URL = "bad-url"

    @property
    def support(self) -> Support:
        """What a mirror with this verdict can be used for."""
        return _MEANING[self].support

    @property
    def explanation(self) -> str:
        """One sentence on what this verdict means."""
        return _MEANING[self].explanation

    @property
    def advice(self) -> str:
        """One sentence on what to do about it."""
        return _MEANING[self].advice


class _Meaning(NamedTuple):
    support: Support
    explanation: str
    advice: str


_MEANING = {
    Reason.OK: _Meaning(
        Support.FULL,
        "Index and files are readable, the JSON is PEP 691, the digests are right.",
        "Nothing to do.",
    ),
    Reason.HTML_ONLY: _Meaning(
        Support.REPAIRED,
        "The index answers with an HTML page (PEP 503) and has no JSON (PEP 691).",
        "Usable; its operator could add PEP 691 JSON.",
    ),
    Reason.RELATIVE_URLS: _Meaning(
        Support.REPAIRED,
        "The JSON page gives file URLs relative to itself, which micropip cannot resolve.",
        "Usable; its operator could write absolute file URLs.",
    ),
    Reason.WRONG_CONTENT_TYPE: _Meaning(
        Support.REPAIRED,
        "The page is PEP 691 JSON, sent under another media type.",
        "Usable; its operator should send application/vnd.pypi.simple.v1+json.",
    ),
    Reason.METADATA_BROKEN: _Meaning(
        Support.REPAIRED,
        "The page promises core metadata that is missing, unreadable or not what it should be.",
        "Usable; its operator should serve the .metadata files, with CORS, or not promise them.",
    ),
    Reason.NO_HASHES: _Meaning(
        Support.REPAIRED,
        "Files are listed without a SHA-256 digest, so nothing can be verified.",
        "Used only when no other mirror works; its operator should publish SHA-256 digests.",
    ),
    Reason.OFFLINE: _Meaning(
        Support.NONE,
        "The browser says that it is offline.",
        "Connect to a network and try again.",
    ),
    Reason.UNREACHABLE: _Meaning(
        Support.NONE,
        "No connection: name not found, refused, reset or blocked on the way.",
        "Check the address and the network, or use another mirror.",
    ),
    Reason.TIMEOUT: _Meaning(
        Support.NONE,
        "No complete answer came in time.",
        "Try again with a larger timeout, or use another mirror.",
    ),
    Reason.CORS: _Meaning(
        Support.NONE,
        "The mirror answers, but does not allow this page to read the answer (CORS).",
        "Its operator should send 'Access-Control-Allow-Origin: *'; until then use another mirror.",
    ),
    Reason.HTTP_STATUS: _Meaning(
        Support.NONE,
        "The mirror answers the project page with an HTTP error.",
        "Check the index URL and, where the index needs one, the login; name a project that this "
        "index has as the canary.",
    ),
    Reason.NOT_AN_INDEX: _Meaning(
        Support.NONE,
        "The answer is not a project page with files to install.",
        "Check the index URL (it usually ends in /simple), a login page on the way, "
        "and that this index has the canary.",
    ),
    Reason.MALFORMED: _Meaning(
        Support.NONE,
        "The project page is broken, or lacks what PEP 691 demands.",
        "Tell its operator; use another mirror.",
    ),
    Reason.API_VERSION: _Meaning(
        Support.NONE,
        "The index speaks another major version of the Simple API than 1.",
        "Look for a newer pyodide_mirror, or use another mirror.",
    ),
    Reason.FILES_BLOCKED: _Meaning(
        Support.NONE,
        "The project page is fine, but its files cannot be read from here.",
        "Its operator should send 'Access-Control-Allow-Origin: *' with the files, too.",
    ),
    Reason.HASH_MISMATCH: _Meaning(
        Support.NONE,
        "A file is not what the project page says: its SHA-256 differs.",
        "Do not use this mirror; tell its operator.",
    ),
    Reason.MIXED_CONTENT: _Meaning(
        Support.NONE,
        "An https page may not read from an http mirror.",
        "Use the mirror's https address, or serve this page over http.",
    ),
    Reason.CSP: _Meaning(
        Support.NONE,
        "This page's own Content-Security-Policy forbids the mirror.",
        "Add the mirror's host, and that of its files, to connect-src of the page's policy.",
    ),
    Reason.LOCAL_NETWORK: _Meaning(
        Support.NONE,
        "The address is in a private network or on this machine, and may not be asked.",
        "Name the mirror yourself, and allow this page to access the local network.",
    ),
    Reason.BAD_URL: _Meaning(
        Support.NONE,
        "This is not a usable index URL.",
        "Write it like https://mirror.example/simple; PYODIDE_MIRROR_URLS takes several, "
        "separated by spaces or commas.",
    ),
}
