"""Checks of files: their bytes, parts of them, and their metadata."""

# ruff: noqa: D403  # micropip, pip and uv are written small, wherever they stand

import re
from email.parser import BytesParser

from tests.conformance.base import (
    PROXIED,
    WORKING,
    Answer,
    Context,
    Group,
    exhibit,
    status_is,
)
from tests.support.upstreams import EXHIBIT, PROJECTS
from tests.support.wheels import Sdist, Wheel

FILES = Group("files", WORKING)


def _wheel() -> Wheel:
    dist = exhibit()
    assert isinstance(dist, Wheel), "the exhibit is a wheel"
    return dist


def _has_length(answer: Answer, dist: Sdist) -> None:
    length = answer.one("Content-Length")
    assert length == str(len(dist.data)), f"Content-Length is {length!r}"


@FILES()
def every_file_is_what_it_should_be(ctx: Context) -> None:
    """Byte by byte: anything else is a wrong digest, or a broken install."""
    for dist in PROJECTS[EXHIBIT]:
        answer = ctx.fetch(dist)
        status_is(answer, 200)
        assert answer.body == dist.data, f"{dist.filename} has other bytes"


@FILES()
def the_second_time_it_is_the_same(ctx: Context) -> None:
    """What comes from a cache must be as good as what comes from upstream."""
    wheel = ctx.upstream.fresh(padding=50_000)
    for _ in range(2):
        answer = ctx.fetch(wheel)
        status_is(answer, 200)
        assert answer.body == wheel.data, "it has other bytes"


@FILES()
def the_length_is_given(ctx: Context) -> None:
    """Browsers show progress by it, and know by it that a file was cut off."""
    _has_length(ctx.fetch(_wheel()), _wheel())


@FILES()
def files_are_sent_as_they_are(ctx: Context) -> None:
    """With Content-Encoding browsers unpack a .tar.gz, and its digest is wrong."""
    for suffix in (".tar.gz", "-1.1-py3-none-any.whl"):
        dist = exhibit(suffix)
        answer = ctx.fetch(dist, {"Accept-Encoding": "gzip, br, zstd"})
        assert not answer.one("Content-Encoding"), f"{dist.filename}: Content-Encoding"
        assert answer.body == dist.data, f"{dist.filename} has other bytes"


@FILES()
def files_are_no_web_pages(ctx: Context) -> None:
    """A file that is shown as a page runs as one, in the mirror's origin."""
    for suffix in (".tar.gz", "-1.1-py3-none-any.whl"):
        kind = ctx.fetch(exhibit(suffix)).media_type
        assert kind.startswith("application/"), f"it is {kind!r}"


@FILES(on=PROXIED)
def files_keep_for_long(ctx: Context) -> None:
    """A published file never changes: with a long `max-age` browsers fetch it once."""
    words = ctx.fetch(_wheel()).words("Cache-Control")
    ages = [int(word.partition("=")[2]) for word in words if word.startswith("max-age=")]
    assert ages and max(ages) >= 86_400, f"Cache-Control is {sorted(words)}"  # noqa: PT018


@FILES()
def head_tells_of_a_file_without_sending_it(ctx: Context) -> None:
    """uv and pip ask for length and ranges by HEAD before they read a wheel's metadata."""
    for dist in (_wheel(), ctx.upstream.fresh()):
        answer = ctx.fetch(dist, method="HEAD")
        status_is(answer, 200)
        _has_length(answer, dist)


# ---------------------------------------------------------------- parts


def _part(ctx: Context, wanted: str, start: int, end: int) -> None:
    """Ask for a part, and compare it: `start` and `end` as in a slice."""
    data = _wheel().data
    answer = ctx.fetch(_wheel(), {"Range": f"bytes={wanted}"})
    if (start, end) == (0, len(data)) and answer.status == 200:
        assert answer.body == data, "it has other bytes"
        return  # a part that is the whole may come as the whole (RFC 9110, 14.2)
    status_is(answer, 206)
    where = f"bytes {start}-{end - 1}/{len(data)}"
    assert answer.one("Content-Range") == where, f"it is {answer.one('Content-Range')!r}"
    assert answer.body == data[start:end], "it is another part"
    length = answer.one("Content-Length")
    assert length == str(end - start), f"Content-Length is {length!r}"


@FILES()
def ranges_are_announced(ctx: Context) -> None:
    """uv reads a wheel's metadata by ranges only where `Accept-Ranges` says so."""
    assert ctx.fetch(_wheel()).one("Accept-Ranges").lower() == "bytes", "no Accept-Ranges"


@FILES()
def the_first_bytes_can_be_had(ctx: Context) -> None:
    """A look at a file does not cost the file."""
    _part(ctx, "0-99", 0, 100)
    _part(ctx, "0-0", 0, 1)


@FILES()
def the_last_bytes_can_be_had(ctx: Context) -> None:
    """A zip's directory is at its end: clients read metadata out of a wheel that way."""
    size = len(_wheel().data)
    _part(ctx, "-100", size - 100, size)
    _part(ctx, f"-{size * 2}", 0, size)


@FILES()
def the_rest_can_be_had(ctx: Context) -> None:
    """A download that broke off goes on where it was."""
    size = len(_wheel().data)
    _part(ctx, "1000-", 1000, size)
    _part(ctx, f"1000-{size * 9}", 1000, size)


@FILES()
def a_part_beyond_the_end_is_416(ctx: Context) -> None:
    """RFC 9110, 15.5.17; the answer tells the size."""
    size = len(_wheel().data)
    answer = ctx.fetch(_wheel(), {"Range": f"bytes={size}-"})
    status_is(answer, 416)
    told = answer.one("Content-Range")
    assert told == f"bytes */{size}", f"Content-Range is {told!r}"


@FILES("ours")
def a_range_of_another_unit_is_ignored(ctx: Context) -> None:
    """RFC 9110, 14.2 demands it."""
    answer = ctx.fetch(_wheel(), {"Range": "rows=0-9"})
    status_is(answer, 200)
    assert answer.body == _wheel().data, "it has other bytes"


def _parts_of(answer: Answer) -> list[tuple[str, bytes]]:
    kind = answer.one("Content-Type")
    boundary = re.search(r'boundary="?([^";]+)"?', kind)
    assert boundary, f"no boundary in {kind!r}"
    mark = b"--" + boundary[1].encode()
    first, *pieces, last = answer.body.split(mark)
    assert not first.strip(), "something before the first part"
    assert last.startswith(b"--"), "the last part does not end"
    found = []
    for piece in pieces:
        head, _, body = piece.partition(b"\r\n\r\n")
        headers = BytesParser().parsebytes(head.lstrip() + b"\r\n\r\n")
        found.append((headers["Content-Range"], body.removesuffix(b"\r\n")))
    return found


@FILES()
def two_ranges_are_two_parts_or_the_whole(ctx: Context) -> None:
    """RFC 9110, 14.2 and 15.3.7.2: anything else gives a client the wrong bytes."""
    data = _wheel().data
    answer = ctx.fetch(_wheel(), {"Range": "bytes=0-9,1000-1009"})
    status_is(answer, 200, 206)
    if answer.status == 200:
        assert answer.body == data, "it is not the whole"
        return
    size = len(data)
    wanted = [
        (f"bytes 0-9/{size}", data[:10]),
        (f"bytes 1000-1009/{size}", data[1000:1010]),
    ]
    assert _parts_of(answer) == wanted, "they are other parts"


@FILES()
def a_part_of_a_file_that_nobody_had_yet_is_right(ctx: Context) -> None:
    """The first request for a file may be for a part, and must not spoil the file for others."""
    wheel = ctx.upstream.fresh(padding=30_000)
    part = ctx.fetch(wheel, {"Range": "bytes=100-199"})
    status_is(part, 206, 200)
    wanted = wheel.data[100:200] if part.status == 206 else wheel.data
    assert part.body == wanted, "it is another part"
    whole = ctx.fetch(wheel)
    status_is(whole, 200)
    assert whole.body == wheel.data, "afterwards, the whole is not whole"


def _validator(answer: Answer) -> str:
    """Return what `If-Range` may hold: a strong ETag, or else the date (RFC 9110, 13.1.5)."""
    etag = answer.one("ETag")
    strong = etag if etag and not etag.startswith("W/") else ""
    found = strong or answer.one("Last-Modified")
    assert found, "neither a strong ETag nor Last-Modified: no download can safely be resumed"
    return found


@FILES()
def if_range_gives_the_part_of_the_same_file(ctx: Context) -> None:
    """Browsers resume a download this way."""
    condition = _validator(ctx.fetch(_wheel()))
    answer = ctx.fetch(_wheel(), {"Range": "bytes=100-199", "If-Range": condition})
    status_is(answer, 206)
    assert answer.body == _wheel().data[100:200], "it is another part"


@FILES()
def if_range_gives_another_file_whole(ctx: Context) -> None:
    """Half of the old file and half of the new one is no file."""
    for condition in ('"another"', "Sat, 01 Jan 2000 00:00:00 GMT"):
        answer = ctx.fetch(_wheel(), {"Range": "bytes=100-199", "If-Range": condition})
        status_is(answer, 200)
        assert answer.body == _wheel().data, "it has other bytes"


@FILES()
def a_part_says_which_file_it_is_of(ctx: Context) -> None:
    """RFC 9110, 15.3.7: with the ETag of the whole, parts of one file can be put together."""
    whole, part = ctx.fetch(_wheel()), ctx.fetch(_wheel(), {"Range": "bytes=0-9"})
    status_is(part, 206)
    assert _validator(part) == _validator(whole), "it says something else than the whole"


@FILES()
def a_known_file_is_304(ctx: Context) -> None:
    """A wheel that the browser's cache has need not travel again."""
    etag = ctx.fetch(_wheel()).one("ETag")
    assert etag, "no ETag"
    answer = ctx.fetch(_wheel(), {"If-None-Match": etag})
    status_is(answer, 304)
    assert not answer.body, "it has a body"


@FILES()
def a_file_that_is_not_there_is_404(ctx: Context) -> None:
    """200 with anything else is `BadZipFile` in micropip, which does not look at the status."""
    target = ctx.target_of(_wheel()).replace("-1.1-", "-7.7-")
    status_is(ctx.ask(target), 404)


# ---------------------------------------------------------------- metadata


def _metadata_target(ctx: Context, wheel: Wheel) -> str:
    """Return where PEP 658 puts it: the path with `.metadata` added."""
    path, mark, query = ctx.target_of(wheel).partition("?")
    return f"{path}.metadata{mark}{query}"


@FILES()
def metadata_is_there_where_it_is_promised(ctx: Context) -> None:
    """micropip takes a readable 404 for metadata: dependencies vanish silently."""
    promised = {file.filename for file in ctx.read().files if file.metadata is not None}
    for dist in PROJECTS[EXHIBIT]:
        if isinstance(dist, Wheel) and dist.filename in promised:
            answer = ctx.ask(_metadata_target(ctx, dist))
            status_is(answer, 200)
            assert answer.body == dist.metadata, f"that of {dist.filename} is another"


@FILES("metadata_from_wheels")
def metadata_is_made_of_wheels(ctx: Context) -> None:
    """The resolver reads a kilobyte in place of a wheel, whatever the upstream can do."""
    answer = ctx.ask(_metadata_target(ctx, _wheel()))
    status_is(answer, 200)
    assert answer.body == _wheel().metadata, "it is another"
    head = ctx.ask(_metadata_target(ctx, _wheel()), method="HEAD")
    status_is(head, 200)


@FILES()
def metadata_of_a_source_archive_is_not_made_up(ctx: Context) -> None:
    """An sdist's dependencies are known when it is built, not before."""
    dist = exhibit(".tar.gz")
    assert ctx.file(dist).metadata is None, "it is promised"
    answer = ctx.ask(f"{ctx.target_of(dist)}.metadata")
    assert answer.status >= 300, f"status {answer.status}"
