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
        "Index and files are readable, the JSON is PEP 691, the digests match.",
        "Nothing to do.",
    )
    HTML_ONLY = (
        "html-only",
        Support.REPAIRED,
        "The index answers with an HTML page (PEP 503) and has no JSON (PEP 691).",
        "Usable as it is; its operator could add JSON (PEP 691).",
    )
    RELATIVE_URLS = (
        "relative-urls",
        Support.REPAIRED,
        "The JSON page has relative file URLs, which micropip does not resolve.",
        "Usable as it is; its operator could write absolute file URLs.",
    )
    WRONG_CONTENT_TYPE = (
        "wrong-content-type",
        Support.REPAIRED,
        "The page is PEP 691 JSON, sent with the wrong media type.",
        "Usable as it is; its operator should send application/vnd.pypi.simple.v1+json.",
    )
    METADATA_BROKEN = (
        "metadata-broken",
        Support.REPAIRED,
        "The page announces core metadata that is missing, unreadable or wrong.",
        (
            "Usable as it is; its operator should serve the .metadata files, with CORS, or stop "
            "announcing them."
        ),
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
        "Try again with a longer timeout, or use another mirror.",
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
            "Check the index URL and the login, if the index needs one; as the canary, name a "
            "project that this index has."
        ),
    )
    NOT_AN_INDEX = (
        "not-an-index",
        Support.NONE,
        "The answer is not a project page with files to install.",
        (
            "Check the index URL (it usually ends in /simple), whether a login page answers "
            "instead, and whether this index has the canary."
        ),
    )
    MALFORMED = (
        "malformed",
        Support.NONE,
        "The project page is broken, or lacks something that PEP 691 requires.",
        "Tell its operator; use another mirror.",
    )
    API_VERSION = (
        "api-version",
        Support.NONE,
        "The index uses a major version of the Simple API other than 1.",
        "Look for a newer pyodide_mirror, or use another mirror.",
    )
    FILES_BLOCKED = (
        "files-blocked",
        Support.NONE,
        "The project page is fine, but its files cannot be read from here.",
        (
            "Its operator should serve the files without errors, and with "
            "'Access-Control-Allow-Origin: *', too."
        ),
    )
    HASH_MISMATCH = (
        "hash-mismatch",
        Support.NONE,
        "A file is not what the project page says: its SHA-256 differs.",
        "Do not use this mirror; tell its operator.",
    )
    INCOMPLETE = (
        "incomplete",
        Support.NONE,
        "The CDN has the files of Pyodide's core, but not its packages.",
        "Use a CDN with the full distribution: a copy of npm's package has no packages.",
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
        "The address is private or on this machine, and this page may not read from it.",
        "Name the mirror yourself, and allow this page to access the local network.",
    )
    BAD_URL = (
        "bad-url",
        Support.NONE,
        "This is not a usable index URL.",
        (
            "Write it like https://mirror.example/simple; in "
            "PYODIDE_MIRROR_URLS, separate several with spaces or commas."
        ),
    )
