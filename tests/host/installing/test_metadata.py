"""Core metadata in installs: Pyodide's own micropip reads them as the standards say."""

import pytest

from tests.support.fake_web import GONE, A, B, Web, file_url
from tests.support.micropip_here import Micropip, Outcome
from tests.support.wheels import Wheel, make_wheel

HEAD = b"Metadata-Version: 2.1\nName: zpkg\nVersion: 1.0\n"
DEP = make_wheel("zdep", "1.0")
NEWER = make_wheel("zdep", "2.0")
BOTH = {"zpkg": "1.0", "zdep": "1.0"}


def stock(*wheels: Wheel, listed: bool = True) -> Web:
    """Make a mirror with these wheels; ``listed``: it promises their metadata."""
    web = Web()
    for name in dict.fromkeys(wheel.name for wheel in wheels):
        same = [wheel for wheel in wheels if wheel.name == name]
        web.publish(A, *same, **({} if listed else {"core_metadata": None}))
    return web


def install(micropip: Micropip, metadata: bytes, wanted: str = "zpkg", *, listed: bool) -> Outcome:
    zpkg = make_wheel("zpkg", "1.0", metadata=metadata)
    return micropip.install(stock(zpkg, DEP, NEWER, listed=listed), wanted)


# --- headers only ---------------------------------------------------------------------------------

HEADERS = {
    "a description that looks like headers": (
        HEAD + b"Requires-Dist: zdep<2\n\nRequires-Dist: znowhere\nProvides-Extra: x\n"
    ),
    "a description with a requirement that cannot be parsed": (
        HEAD + b"Requires-Dist: zdep<2\n\nRequires-Dist: see below\n"
    ),
    "lines that end in CR LF": (
        (HEAD + b"Requires-Dist: zdep<2\n\nRequires-Dist: znowhere\n").replace(b"\n", b"\r\n")
    ),
    "lines that end in CR": (
        (HEAD + b"Requires-Dist: zdep<2\n\nRequires-Dist: znowhere\n").replace(b"\n", b"\r")
    ),
    "a byte order mark": b"\xef\xbb\xbf" + HEAD + b"Requires-Dist: zdep<2\n",
    "a folded field": HEAD + b"Requires-Dist: zdep\n  <2\n",
    "a field folded after its name": HEAD + b"Requires-Dist:\n\tzdep<2\n",
    "names in other letters": HEAD.lower() + b"requires-dist: zdep<2\n",
    "bytes that are not UTF-8": HEAD + b"Summary: caf\xe9\nRequires-Dist: zdep<2\n\ncaf\xe9\n",
    "a line of spaces": HEAD + b"Summary: one\n   \nRequires-Dist: zdep<2\n",
    "what Python takes for the end of a line": (
        HEAD + "Summary: one\u2028Requires-Dist: znowhere\nRequires-Dist: zdep<2\n".encode()
    ),
    "no space after the colon": HEAD + b"Requires-Dist:zdep<2\n",
}
"""METADATA that need zdep<2, as pip and uv read them."""


@pytest.mark.parametrize("listed", [True, False], ids=["in a file of its own", "in the wheel"])
@pytest.mark.parametrize("case", HEADERS)
def test_requirements_are_those_of_the_headers(
    micropip_here: Micropip, case: str, *, listed: bool
) -> None:
    found = install(micropip_here, HEADERS[case], listed=listed)
    assert (found.error, found.versions) == ("", BOTH)


@pytest.mark.parametrize("listed", [True, False], ids=["in a file of its own", "in the wheel"])
def test_so_it_is_with_each_micropip(each_micropip_here: Micropip, *, listed: bool) -> None:
    first, *_ = HEADERS.values()
    found = install(each_micropip_here, first, listed=listed)
    assert (found.error, found.versions) == ("", BOTH)


def test_headers_end_at_the_first_line_that_is_none(micropip_here: Micropip) -> None:
    # As email.parser, pip and uv have it.
    for line in (b"Copyright me\n", b"Foo Bar: x\n", b"Requires-Dist : zdep\n"):
        found = install(micropip_here, HEAD + line + b"Requires-Dist: zdep\n", listed=True)
        assert (found.error, found.versions) == ("", {"zpkg": "1.0"})


def test_a_requirement_that_cannot_be_parsed_is_told_with_the_package(
    micropip_here: Micropip,
) -> None:
    found = install(micropip_here, HEAD + b"Requires-Dist: see below\n", listed=True)
    assert found.error.startswith("ValueError: the metadata of zpkg 1.0 cannot be read: ")
    assert "see below" in found.error
    assert found.files == []


def test_a_wheel_without_requirements_is_read_as_well_without_deps(micropip_here: Micropip) -> None:
    zpkg = make_wheel("zpkg", "1.0", metadata=HEAD + b"\nRequires-Dist: see below\n")
    found = micropip_here.install(stock(zpkg), "zpkg", deps=False)
    assert (found.error, found.versions) == ("", {"zpkg": "1.0"})


# --- extras ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("provided", ["hf-transfer", "hf_transfer", "HF.Transfer"])
@pytest.mark.parametrize("wanted", ["hf_transfer", "hf-transfer", "Hf..Transfer"])
def test_extras_are_compared_normalized(
    micropip_here: Micropip, provided: str, wanted: str
) -> None:
    zpkg = make_wheel("zpkg", "1.0", extras={provided: ["zdep"]})
    found = micropip_here.install(stock(zpkg, DEP), f"zpkg[{wanted}]")
    assert (found.error, found.versions) == ("", BOTH)
    assert found.told("extra") == []


def test_extras_of_a_requirement_are_compared_normalized(each_micropip_here: Micropip) -> None:
    zroot = make_wheel("zroot", "1.0", requires=["zpkg[hf_transfer]"])
    zpkg = make_wheel("zpkg", "1.0", extras={"hf-transfer": ["zdep"]})
    found = each_micropip_here.install(stock(zroot, zpkg, DEP), "zroot")
    assert (found.error, found.versions) == ("", {**BOTH, "zroot": "1.0"})


def test_an_extra_that_does_not_exist_is_told_and_the_install_goes_on(
    each_micropip_here: Micropip,
) -> None:
    zold = make_wheel("zold", "1.0", requires=["zpkg[security]"])
    zpkg = make_wheel("zpkg", "1.0", requires=["zdep"], extras={"fast": []})
    found = each_micropip_here.install(stock(zold, zpkg, DEP), "zold")
    assert (found.error, found.versions) == ("", {**BOTH, "zold": "1.0"})
    assert found.told("extra") == ["zpkg 1.0 has no extra 'security'"]


# --- metadata that cannot be had ------------------------------------------------------------------

VENDORED = {"zsetup/_vendor/packaging-24.0.dist-info/METADATA": "Name: packaging\n"}
ZSETUP = make_wheel("zsetup", "1.0", requires=["zdep"], modules=VENDORED)
PROMISED = file_url(A, ZSETUP) + ".metadata"


@pytest.mark.parametrize("mirrors", [(A,), (A, B)], ids=["alone", "beside a healthy one"])
def test_promised_metadata_that_are_missing_are_read_in_the_wheel(
    each_micropip_here: Micropip, mirrors: tuple[object, ...]
) -> None:
    web = stock(ZSETUP, DEP)
    for mirror in mirrors[1:]:
        web.publish(mirror, ZSETUP)  # type: ignore[arg-type]
    web.answer(PROMISED, GONE)
    found = each_micropip_here.install(web, "zsetup", mirrors=mirrors)  # type: ignore[arg-type]
    assert (found.error, found.versions) == ("", {"zsetup": "1.0", "zdep": "1.0"})


@pytest.mark.parametrize("lost", ["no file", "no METADATA"])
def test_where_there_are_none_the_next_mirror_has_its_turn(
    each_micropip_here: Micropip, lost: str
) -> None:
    good = make_wheel("zpkg", "1.0", requires=["zdep"])
    bad = make_wheel("zpkg", "1.0", info="zpkg") if lost == "no METADATA" else good
    web = stock(bad, DEP)
    web.publish(B, good)
    web.answer(file_url(A, bad) + ".metadata", GONE)
    if lost == "no file":
        web.answer(file_url(A, bad), GONE)
    found = each_micropip_here.install(web, "zpkg", mirrors=(A, B))
    assert (found.error, found.versions) == ("", BOTH)


def test_and_if_no_mirror_has_them_the_error_says_what_was_seen(
    each_micropip_here: Micropip,
) -> None:
    wheel = make_wheel("zpkg", "1.0", info="zpkg")
    web = stock(wheel)
    web.answer(file_url(A, wheel) + ".metadata", GONE)
    found = each_micropip_here.install(web, "zpkg")
    first, *notes = found.error.splitlines()
    assert first == "IncompleteInstall: could not be installed: zpkg"
    assert "zpkg-1.0-py3-none-any.whl" in "".join(notes)
    assert "HTTP 404" in "".join(notes)
    assert "CORS" not in found.error + found.cause
    assert found.files == []


# --- pre-releases ---------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["zpkg", "zpkg>0"])
@pytest.mark.parametrize("pre", [False, True])
def test_where_there_are_only_pre_releases_one_is_installed(
    each_micropip_here: Micropip, wanted: str, pre: bool
) -> None:
    # With a version asked for, micropip takes one with pre=True only; pip and uv take it anyway.
    web = stock(*(make_wheel("zpkg", version) for version in ("1.0rc1", "2.0.dev1")))
    web.publish(A, make_wheel("iniconfig", "1.0"))
    assert each_micropip_here.install(web, wanted, pre=pre).versions == {"zpkg": "2.0.dev1"}


# --- what is said to be installed -----------------------------------------------------------------


def test_name_and_version_are_those_of_the_metadata(each_micropip_here: Micropip) -> None:
    name = "z-my-pkg"
    wheel = make_wheel(name, "1.0", info="z-my-pkg-1.0.dist-info")
    local = make_wheel("zlocal", "1.0+cpu_2", metadata=b"Name: zlocal\nVersion: 1.0+cpu-2\n")
    found = each_micropip_here.install(stock(wheel, local), name, "zlocal")
    [report] = found.reports
    assert [(one["name"], one["version"]) for one in report] == [
        ("z-my-pkg", "1.0"),
        ("zlocal", "1.0+cpu-2"),
    ]
    assert found.told("unpacked") == ["z-my-pkg 1.0", "zlocal 1.0+cpu-2"]
