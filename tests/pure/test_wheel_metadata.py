"""The core metadata in a wheel, which may be hostile."""

import io
import struct
import zipfile

import pytest

from pyodide_mirror.index import metadata_of

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
