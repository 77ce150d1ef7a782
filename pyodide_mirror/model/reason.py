"""The words of a verdict: its reason, and how far a mirror can be used."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


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
    """Why a mirror got its verdict, in the order of the documentation's table."""

    __module__ = "pyodide_mirror"

    support: Support
    """What a mirror with this verdict can be used for."""
    explanation: str
    """One sentence on what this verdict means."""
    advice: str
    """One sentence on what to do about it."""

    def __new__(cls, value: str, support: Support, explanation: str, advice: str) -> Self:
        """A member, with what it means."""
        self = str.__new__(cls, value)
        self._value_ = value
        self.support, self.explanation, self.advice = support, explanation, advice
        return self

    OK = (
        "ok",
        Support.FULL,
        "Index and files are readable, the JSON is PEP 691, the digests are right.",
        "Nothing to do.",
    )
    HTML_ONLY = (
        "html-only",
        Support.REPAIRED,
        "The index answers with an HTML page (PEP 503) and has no JSON (PEP 691).",
        "Usable; its operator could add PEP 691 JSON.",
    )
    RELATIVE_URLS = (
        "relative-urls",
        Support.REPAIRED,
        "The JSON page gives file URLs relative to itself, which micropip cannot resolve.",
        "Usable; its operator could write absolute file URLs.",
    )
    WRONG_CONTENT_TYPE = (
        "wrong-content-type",
        Support.REPAIRED,
        "The page is PEP 691 JSON, sent under another media type.",
        "Usable; its operator should send application/vnd.pypi.simple.v1+json.",
    )
    METADATA_BROKEN = (
        "metadata-broken",
        Support.REPAIRED,
        "The page promises core metadata that is missing, unreadable or not what it should be.",
        "Usable; its operator should serve the .metadata files, with CORS, or not promise them.",
    )
    NO_HASHES = (
        "no-hashes",
        Support.REPAIRED,
        "Files are listed without a SHA-256 digest, so nothing can be verified.",
        "Used only when no other mirror works; its operator should publish SHA-256 digests.",
    )
    OFFLINE = (
        "offline",
        Support.NONE,
        "The browser says that it is offline.",
        "Connect to a network and try again.",
    )
    UNREACHABLE = (
        "unreachable",
        Support.NONE,
        "No connection: name not found, refused, reset or blocked on the way.",
        "Check the address and the network, or use another mirror.",
    )
    TIMEOUT = (
        "timeout",
        Support.NONE,
        "No complete answer came in time.",
        "Try again with a larger timeout, or use another mirror.",
    )
    CORS = (
        "cors",
        Support.NONE,
        "The mirror answers, but does not allow this page to read the answer (CORS).",
        "Its operator should send 'Access-Control-Allow-Origin: *'; until then use another mirror.",
    )
    HTTP_STATUS = (
        "http-status",
        Support.NONE,
        "The mirror answers the project page with an HTTP error.",
        (
            "Check the index URL and, where the index needs one, the login; "
            "name a project that this index has as the canary."
        ),
    )
    NOT_AN_INDEX = (
        "not-an-index",
        Support.NONE,
        "The answer is not a project page with files to install.",
        (
            "Check the index URL (it usually ends in /simple), a login page on the way, "
            "and that this index has the canary."
        ),
    )
    MALFORMED = (
        "malformed",
        Support.NONE,
        "The project page is broken, or lacks what PEP 691 demands.",
        "Tell its operator; use another mirror.",
    )
    API_VERSION = (
        "api-version",
        Support.NONE,
        "The index speaks another major version of the Simple API than 1.",
        "Look for a newer pyodide_mirror, or use another mirror.",
    )
    FILES_BLOCKED = (
        "files-blocked",
        Support.NONE,
        "The project page is fine, but its files cannot be read from here.",
        "Its operator should send 'Access-Control-Allow-Origin: *' with the files, too.",
    )
    HASH_MISMATCH = (
        "hash-mismatch",
        Support.NONE,
        "A file is not what the project page says: its SHA-256 differs.",
        "Do not use this mirror; tell its operator.",
    )
    MIXED_CONTENT = (
        "mixed-content",
        Support.NONE,
        "An https page may not read from an http mirror.",
        "Use the mirror's https address, or serve this page over http.",
    )
    CSP = (
        "csp",
        Support.NONE,
        "This page's own Content-Security-Policy forbids the mirror.",
        "Add the mirror's host, and that of its files, to connect-src of the page's policy.",
    )
    LOCAL_NETWORK = (
        "local-network",
        Support.NONE,
        "The address is in a private network or on this machine, and may not be asked.",
        "Name the mirror yourself, and allow this page to access the local network.",
    )
    BAD_URL = (
        "bad-url",
        Support.NONE,
        "This is not a usable index URL.",
        (
            "Write it like https://mirror.example/simple; PYODIDE_MIRROR_URLS takes several, "
            "separated by spaces or commas."
        ),
    )
