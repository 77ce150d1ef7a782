"""The wheel that a probe reads."""

import io
import struct
import zipfile

import pytest

from pyodide_mirror.index import metadata_of, smallest_wheel
from pyodide_mirror.model import File, ProjectPage


def page(*entries):
    files = tuple(
        File(filename=name, url=f"https://f.example/{name}", hashes={}, **fields)
        for name, fields in entries
    )
    return ProjectPage(name="demo", files=files)


def chosen(*entries):
    file = smallest_wheel(page(*entries))
    return file and file.filename


def test_the_smallest_wheel_that_suits_is_chosen():
    assert (
        chosen(
            ("demo-1.0.tar.gz", {"size": 1}),
            ("demo-1.0-py3-none-any.whl", {"size": 500}),
            ("demo-2.0-py2.py3-none-any.whl", {"size": 300}),
            ("demo-2.1-py2-none-any.whl", {"size": 10}),
            ("demo-2.2-cp38-cp38-win_amd64.whl", {"size": 20}),
            ("demo-3.0-py3-none-any.whl", {"size": 30, "requires_python": "<3"}),
            ("demo-3.1-py3-none-any.whl", {"size": 40, "yanked": True}),
            ("demo-3.2-py3-none-any.whl", {"size": 400, "requires_python": "nonsense"}),
            ("demo-nonsense.whl", {"size": 2}),
        )
        == "demo-2.0-py2.py3-none-any.whl"
    )


def test_without_sizes_the_last_one_is_chosen():
    assert (
        chosen(("demo-1.0-py3-none-any.whl", {}), ("demo-2.0-py3-none-any.whl", {}))
        == "demo-2.0-py3-none-any.whl"
    )


def test_there_may_be_none():
    assert chosen(("demo-1.0.tar.gz", {}), ("demo-1.0-cp38-cp38-win_amd64.whl", {})) is None


NAME = "demo-1.0.dist-info/METADATA"


def wheel(metadata, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(NAME), metadata, method)
    return buffer.getvalue()


def test_metadata_comes_from_the_wheel():
    assert metadata_of(wheel(b"Name: demo")) == b"Name: demo"
    assert metadata_of(wheel(b"Name: demo", zipfile.ZIP_STORED)) == b"Name: demo"


def test_metadata_that_unfolds_without_end_is_refused_whatever_the_archive_says_of_its_size():
    bomb = wheel(bytes(8 << 20))
    true, lie = struct.pack("<L", 8 << 20), struct.pack("<L", 100)
    for data in (bomb, bomb.replace(true, lie)):
        with pytest.raises(ValueError, match=r"METADATA is too large|is no readable wheel"):
            metadata_of(data)


def test_metadata_packed_in_an_unusual_way_is_refused():
    stored = wheel(b"Name: demo", zipfile.ZIP_STORED)
    directory = stored.index(b"PK\x01\x02")
    # APPNOTE.TXT, 4.3.12: the method is at 10 in the directory's header, at 8 in the file's.
    odd = bytearray(stored)
    odd[directory + 10 : directory + 12] = odd[8:10] = struct.pack("<H", 14)
    with pytest.raises(ValueError, match="unusual way"):
        metadata_of(bytes(odd))


def test_what_is_no_wheel_is_refused():
    for data in (b"", b"nonsense", wheel(b"x")[:-30]):
        with pytest.raises(ValueError, match="is no readable wheel"):
            metadata_of(data)
