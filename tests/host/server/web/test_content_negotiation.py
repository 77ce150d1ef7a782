"""The media type that a client gets: RFC 9110, section 12, by table."""

from pyodide_mirror.server.web.content_negotiation import MediaType, is_unchanged, requested

JSON, HTML, PLAIN = MediaType.JSON, MediaType.HTML, MediaType.PLAIN_HTML
J, H = "application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.v1+html"
CLIENTS = {
    "micropip": (f"{J}, */*;q=0.01", JSON),
    "pip": (f"{J}, {H}; q=0.1, text/html; q=0.01", JSON),
    "uv": (f"{J}, {H};q=0.2, text/html;q=0.01", JSON),
    "old pip": ("text/html", PLAIN),
    "poetry": (f"{J}, {H}", JSON),
    "Chromium": (
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        PLAIN,
    ),
    "Firefox": ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", PLAIN),
    "Safari": ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", PLAIN),
    "fetch and curl": ("*/*", JSON),
    "nothing at all": (None, JSON),
    "an empty header": ("", JSON),
    "blanks": ("  ", JSON),
}
RULES = [
    (J, JSON),
    (H, HTML),
    ("application/json", JSON),
    ("application/vnd.pypi.simple.latest+json", JSON),
    ("application/vnd.pypi.simple.latest+html", HTML),
    ("TEXT/HTML", PLAIN),
    (f"{J};charset=utf-8", JSON),
    # quality values: section 12.4.2
    (f"{J};q=0.5, {H};q=0.6", HTML),
    (f"{J};q=0.5, {H};q=0.5", JSON),
    (f"{J} ; q = 0.5 ,text/html;q=0.501", PLAIN),
    (f"{J};Q=0.1, {H};q=0.2", HTML),
    (f"{J};q=0, {H}", HTML),
    (f"{J};q=0.000", None),
    (f"{J};q=0", None),
    (f"{J};q=0, */*", HTML),
    (f"{J};q=0, {H};q=0, */*", PLAIN),
    ("application/*;q=0, */*", PLAIN),
    ("*/*;q=0", None),
    (f"*/*;q=0, {H}", HTML),
    (f"{J};q=nonsense, text/html;q=0.9", JSON),
    (f"{J};q=1.5, text/html;q=0.9", JSON),
    (f"{J};q=-1", JSON),
    (f"{J};q=1.000, text/html;q=0.999", JSON),
    # precision: section 12.5.1
    ("text/*", PLAIN),
    ("application/*", JSON),
    (f"application/*;q=0.2, {H};q=0.8", HTML),
    ("text/*;q=0.3, text/html;q=0.7, */*;q=0.5", PLAIN),
    ("text/html;q=0.1, */*;q=0.9", JSON),
    ("*/*, text/html", PLAIN),
    ("*/*;q=0.5, application/json;q=0.5", JSON),
    # nothing fits
    ("image/png", None),
    ("application/vnd.pypi.simple.v2+json", None),
    ("application/xml, text/plain", None),
    ("nonsense", None),
    (";;,,;q=1", None),
    ("text/", None),
    ("*", None),
]


def test_each_client_gets_what_it_reads_best() -> None:
    for client, (accept, media_type) in CLIENTS.items():
        assert requested(accept, None) is media_type, client


def test_the_accept_header_means_what_rfc_9110_says() -> None:
    for accept, media_type in RULES:
        assert requested(accept, None) is media_type, accept


def test_the_query_overrules_the_header() -> None:
    for wanted, media_type in [
        (J, JSON),
        (H, HTML),
        ("text/html", PLAIN),
        ("application/json", JSON),
        ("application/vnd.pypi.simple.latest+json", JSON),
        (J.replace("+", " "), JSON),
        (f" {H.upper()} ", HTML),
        ("json", None),
        ("*/*", None),
        ("application/vnd.pypi.simple.v2+json", None),
    ]:
        for accept in (None, "text/html", J, "image/png"):
            assert requested(accept, wanted) is media_type, (accept, wanted)


def test_an_empty_query_overrules_nothing() -> None:
    assert requested("text/html", "") is PLAIN


def test_an_endless_header_takes_no_time() -> None:
    assert requested("text/plain," * 100_000 + J, None) is None
    assert requested(f"{J}," * 100_000, None) is JSON


def test_content_types_say_what_is_sent() -> None:
    assert [each.content_type for each in MediaType] == [J, H, "text/html; charset=utf-8"]


def test_a_clients_copy_is_compared_as_rfc_9110_says() -> None:
    """Section 13.1.2: the weak comparison, over a list."""
    for if_none_match, unchanged in [
        (None, False),
        ("", False),
        ("*", True),
        (" * ", True),
        ('"a"', True),
        ('W/"a"', True),
        ('"b"', False),
        ('"b", "a"', True),
        ('"b",W/"a" , "c"', True),
        ('"b", W/"c"', False),
        ("a", False),
        ('"aa"', False),
        ('"b, a"', False),
        ('"A"', False),
        ('"*"', False),
    ]:
        for etag in ('"a"', 'W/"a"'):
            assert is_unchanged(if_none_match, etag) is unchanged, (if_none_match, etag)
