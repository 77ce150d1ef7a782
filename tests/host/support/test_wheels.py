"""The wheels of the zoo are real ones."""

import base64
import csv
import email
import hashlib
import io
import tarfile
import zipfile

from packaging.requirements import Requirement
from packaging.tags import sys_tags
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

from tests.support.wheels import (
    CANARY,
    FUTURE,
    INSTALLED,
    REBUILT,
    ROOT,
    SMALLEST_THAT_SUITS,
    STOCK,
    Sdist,
    Wheel,
    make_sdist,
    make_wheel,
)

DISTS = [dist for dists in STOCK.values() for dist in dists]
WHEELS = [dist for dist in DISTS if isinstance(dist, Wheel)]
RICH = make_wheel(
    "zoo-rich",
    "2.0",
    requires=["zoo-dep-a"],
    requires_python=">=3.11",
    extras={"more": ["zoo-dep-b"]},
    modules={"zoo_more/__init__.py": "X = 1\n"},
    padding=1000,
)


def names(wheel: Wheel) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(wheel.data)) as archive:
        return archive.namelist()


def content(wheel: Wheel, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(wheel.data)) as archive:
        return archive.read(name)


def test_each_file_of_a_wheel_is_in_its_record() -> None:
    for wheel in [*WHEELS, RICH]:
        record = next(name for name in names(wheel) if name.endswith("/RECORD"))
        rows = list(csv.reader(io.StringIO(content(wheel, record).decode())))
        assert [row[0] for row in rows] == names(wheel), wheel.filename
        for name, digest, size in rows[:-1]:
            data = content(wheel, name)
            wanted = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
            assert digest == f"sha256={wanted.decode()}", (wheel.filename, name)
            assert int(size) == len(data), (wheel.filename, name)
        assert rows[-1] == [record, "", ""], wheel.filename


def test_a_wheel_is_what_its_name_says() -> None:
    for wheel in [*WHEELS, RICH]:
        name, version, _, tags = parse_wheel_filename(wheel.filename)
        assert (name, str(version)) == (wheel.name, wheel.version)
        folder = f"{wheel.name.replace('-', '_')}-{wheel.version}.dist-info"
        assert content(wheel, f"{folder}/METADATA") == wheel.metadata, wheel.filename
        metadata = email.message_from_bytes(wheel.metadata)
        assert (metadata["Name"], metadata["Version"]) == (wheel.name, wheel.version)
        assert metadata["Requires-Python"] == wheel.requires_python, wheel.filename
        described = email.message_from_bytes(content(wheel, f"{folder}/WHEEL"))
        assert set(described.get_all("Tag") or ()) == {str(tag) for tag in tags}, wheel.filename


def test_digests_are_those_of_the_bytes() -> None:
    assert RICH.sha256 == hashlib.sha256(RICH.data).hexdigest()
    assert RICH.metadata_sha256 == hashlib.sha256(RICH.metadata).hexdigest()


def test_the_module_tells_its_version_and_value() -> None:
    namespace: dict[str, object] = {}
    exec(content(RICH, "zoo_rich.py"), namespace)  # noqa: S102  # what we made ourselves
    assert (namespace["__version__"], namespace["VALUE"]) == ("2.0", "zoo-rich 2.0")


def test_requirements_extras_modules_and_padding_are_in_the_wheel() -> None:
    metadata = email.message_from_bytes(RICH.metadata)
    wanted = [Requirement(line) for line in metadata.get_all("Requires-Dist") or ()]
    assert [one.name for one in wanted] == ["zoo-dep-a", "zoo-dep-b"]
    assert str(wanted[1].marker) == 'extra == "more"'
    assert metadata.get_all("Provides-Extra") == ["more"]
    assert content(RICH, "zoo_more/__init__.py") == b"X = 1\n"
    assert len(content(RICH, "zoo_rich_padding.bin")) == 1000


def test_the_same_call_makes_the_same_bytes() -> None:
    assert make_wheel("a-b", "1.0", padding=9) == make_wheel("a-b", "1.0", padding=9)
    assert make_sdist("a-b", "1.0") == make_sdist("a-b", "1.0")
    # Pinned, so that another Python or another zlib cannot change them unnoticed.
    assert make_wheel("a-b", "1.0").sha256[:16] == "1232338f775fb26f"
    assert make_sdist("a-b", "1.0").sha256[:16] == "637da8f04925a6e2"


def test_an_sdist_holds_its_metadata() -> None:
    sdist = make_sdist("zoo-x", "1.0")
    assert parse_sdist_filename(sdist.filename)[0] == "zoo-x"
    with tarfile.open(fileobj=io.BytesIO(sdist.data)) as archive:
        member = archive.extractfile("zoo_x-1.0/PKG-INFO")
        assert member is not None
        assert b"Name: zoo-x" in member.read()


def test_the_stock_is_in_normal_form_and_no_file_name_comes_twice() -> None:
    assert all(name == canonicalize_name(name) for name in STOCK)
    assert all(dist.name == name for name, dists in STOCK.items() for dist in dists)
    assert len({dist.filename for dist in DISTS}) == len(DISTS)


def test_the_root_needs_two_others_which_are_in_the_stock() -> None:
    newest = next(
        wheel for wheel in WHEELS if (wheel.name, wheel.version) == (ROOT, INSTALLED[ROOT])
    )
    needs = email.message_from_bytes(newest.metadata).get_all("Requires-Dist") or ()
    assert {ROOT, *(Requirement(line).name for line in needs)} == set(INSTALLED)
    assert all(any(d.version == version for d in STOCK[n]) for n, version in INSTALLED.items())


def test_the_smallest_that_suits_is_neither_the_smallest_nor_the_newest() -> None:
    pure = {tag for tag in sys_tags() if str(tag) == "py3-none-any"}
    suits: list[Sdist] = [
        wheel
        for wheel in WHEELS
        if wheel.name == CANARY
        and pure & parse_wheel_filename(wheel.filename)[3]
        and wheel.requires_python is None
    ]
    assert min(suits, key=lambda wheel: len(wheel.data)) is SMALLEST_THAT_SUITS
    others = [dist for dist in STOCK[CANARY] if dist not in suits and isinstance(dist, Wheel)]
    assert len(others) == 3
    assert all(len(dist.data) < len(SMALLEST_THAT_SUITS.data) for dist in others)
    assert max(dist.version for dist in STOCK[CANARY]) > SMALLEST_THAT_SUITS.version


def test_rebuilt_wheels_have_the_same_names_and_other_contents() -> None:
    stock = {dist.filename: dist for dist in DISTS}
    assert set(REBUILT) <= set(stock)
    assert all(REBUILT[name].sha256 != stock[name].sha256 for name in REBUILT)
    assert {wheel.name for wheel in REBUILT.values()} == set(STOCK)


def test_the_future_is_newer_than_the_stock() -> None:
    assert set(FUTURE) == set(STOCK)
    assert all(wheel.version == "9.0" for wheel in FUTURE.values())
