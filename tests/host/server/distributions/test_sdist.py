"""The metadata of sdists, also of hostile ones."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyodide_mirror.server.distributions.sdist import read_pkg_info
from tests.support.wheels import make_sdist

SDIST = make_sdist("acme-tool", "1.0")


HUGE = b"77777777777\0"


def sdist_of(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size, member.type = len(content), kind
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def header(size: bytes, kind: bytes) -> bytes:
    """A member's header that says what it likes of its size."""
    made = bytearray(tarfile.TarInfo("x").tobuf())
    made[124:136], made[156:157], made[148:156] = size, kind, b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(content, sentence, id=name)
        for name, content, sentence in [
            ("empty", b"", "empty file"),
            ("no gzip", b"no archive", "Not a gzipped file"),
            ("no tar", gzip.compress(b"no archive"), "truncated header"),
            ("cut off", SDIST.data[:300], "Compressed file ended before"),
            ("no folder", sdist_of(("PKG-INFO", b"x")), "it has no PKG-INFO in its folder"),
            ("too deep", sdist_of(("a/b/PKG-INFO", b"x")), "it has no PKG-INFO in its folder"),
            (
                "a link",
                sdist_of(("a/PKG-INFO", b""), kind=tarfile.SYMTYPE),
                "it has no PKG-INFO in",
            ),
            ("large", sdist_of(("a/PKG-INFO", b"x" * 4_194_305)), "has more than 4,194,304 bytes"),
            ("pax", gzip.compress(header(HUGE, b"x")), "a header in it is too large"),
            ("gnu", gzip.compress(header(HUGE, b"L")), "a header in it is too large"),
            ("huge", gzip.compress(header(HUGE, b"0")), "more than 4,000,000,000 bytes when unp"),
            # Newer versions of Python see this themselves.
            ("back", gzip.compress(header(b"\xff" * 10 + b"\xfc\0", b"0")), ""),
        ]
    ],
)
def test_an_sdist_that_cannot_be_read(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "it").write_bytes(content)
    with pytest.raises(ValueError, match=r"^the sdist cannot be read: ") as caught:
        read_pkg_info(tmp_path / "it")
    assert sentence in str(caught.value)


def test_the_pkg_info_of_an_sdist_is_that_of_its_folder(tmp_path: Path) -> None:
    members = [
        ("./a/b.egg-info/PKG-INFO", b"other"),
        ("./a/x", b"x" * 9000),
        ("./a/PKG-INFO", b"it"),
    ]
    (tmp_path / "it").write_bytes(sdist_of(*members))
    assert read_pkg_info(tmp_path / "it") == b"it"


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_archive_breaks_it(tmp_path: Path, data: st.DataObject) -> None:
    whole = bytearray(gzip.decompress(sdist_of(("a/x", b"y"), ("a/PKG-INFO", b"Name: x"))))
    for _ in range(data.draw(st.integers(0, 6))):
        whole[data.draw(st.integers(0, 1100))] = data.draw(st.integers(0, 255))
    (tmp_path / "it").write_bytes(gzip.compress(bytes(whole)))
    try:
        read_pkg_info(tmp_path / "it")
    except ValueError as error:
        assert str(error).startswith("the sdist cannot be read: ")  # noqa: PT017
