"""The core metadata in a wheel, which may be hostile."""

import io
import struct
import zipfile

import pytest

from pyodide_mirror.index import metadata_of

FILENAME = "demo-1.0-py3-none-any.whl"
NAME = "demo-1.0.dist-info/METADATA"


def wheel(metadata, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(NAME), metadata, method)
    return buffer.getvalue()


def archive_of(*names):
    """A wheel whose members have their own names as content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return buffer.getvalue()


def test_metadata_comes_from_the_wheel():
    assert metadata_of(wheel(b"Name: demo"), FILENAME) == b"Name: demo"
    assert metadata_of(wheel(b"Name: demo", zipfile.ZIP_STORED), FILENAME) == b"Name: demo"


def test_what_lies_deeper_than_the_root_is_payload():
    deeper = [
        "demo/_vendor/packaging-24.0.dist-info/METADATA",
        "demo/demo-1.0.dist-info/METADATA",
        "demo-1.0.dist-info/licenses/demo-1.0.dist-info/METADATA",
        "METADATA",
        "demo/METADATA",
    ]
    for names in ([*deeper, NAME], [NAME, *deeper]):
        assert metadata_of(archive_of(*names), FILENAME) == NAME.encode()
    with pytest.raises(ValueError, match=r"has 0 METADATA files"):
        metadata_of(archive_of(*deeper), FILENAME)


def test_the_folder_has_the_projects_name_in_any_spelling():
    for folder in [
        "z_my_pkg-1.0",
        "z-my-pkg-1.0",  # as old builders left it
        "Z.My-Pkg-1.0",
        "z_my_pkg-1.0.0",
        "z_my_pkg",
    ]:
        name = f"{folder}.dist-info/METADATA"
        filename = "z_my_pkg-1.0-py3-none-any.whl"
        assert metadata_of(archive_of(name), filename) == name.encode(), folder


def test_a_folder_that_is_not_the_projects_is_refused():
    """By pip and uv, too, so that metadata of it would be a promise that helps nobody."""
    for names, why in [
        (["other-1.0.dist-info/METADATA"], "has 'other-1.0.dist-info', which is not .* of 'demo'"),
        (["demos-1.0.dist-info/METADATA"], "is not the .dist-info folder of 'demo'"),
        ([NAME, "other-1.0.dist-info/METADATA"], "has 2 .dist-info folders at its root"),
        ([NAME, "other-1.0.dist-info/LICENSE"], "has 2 .dist-info folders at its root"),
        (["demo.py"], "has 0 .dist-info folders at its root"),
        (["demo-1.0.dist-info/WHEEL"], "has 0 METADATA files"),
    ]:
        with pytest.raises(ValueError, match=why):
            metadata_of(archive_of(*names), FILENAME)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_metadata_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match="has 2 METADATA files"):
        metadata_of(archive_of(NAME, NAME), FILENAME)


def test_metadata_that_unfolds_without_end_is_refused_whatever_the_archive_says_of_its_size():
    bomb = wheel(bytes(8 << 20))
    true, lie = struct.pack("<L", 8 << 20), struct.pack("<L", 100)
    for data in (bomb, bomb.replace(true, lie)):
        with pytest.raises(ValueError, match=r"METADATA of more than 4,194,304|no readable wheel"):
            metadata_of(data, FILENAME)


def test_metadata_packed_in_an_unusual_way_is_refused():
    stored = wheel(b"Name: demo", zipfile.ZIP_STORED)
    directory = stored.index(b"PK\x01\x02")
    # APPNOTE.TXT, 4.3.12: the method is at 10 in the directory's header, at 8 in the file's.
    odd = bytearray(stored)
    odd[directory + 10 : directory + 12] = odd[8:10] = struct.pack("<H", 14)
    with pytest.raises(ValueError, match="unusual way"):
        metadata_of(bytes(odd), FILENAME)


def test_what_is_no_wheel_is_refused():
    for data in (b"", b"nonsense", wheel(b"x")[:-30]):
        with pytest.raises(ValueError, match="is no readable wheel"):
            metadata_of(data, FILENAME)
