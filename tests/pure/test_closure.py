"""What is missing after an install."""

import importlib.abc
import importlib.metadata
import os
import sys

import pytest

from pyodide_mirror.installing.closure import Gap, closure


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that makes a distribution which requires something."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name, *requires, source="", folder=None, metadata=None):
        info = tmp_path / f"{folder or name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        if metadata is None:
            metadata = "\n".join([*lines, "", "A description"]).encode()
        if metadata:
            (info / "METADATA").write_bytes(metadata)
        if source:
            (info / "PYODIDE_SOURCE").write_text(source)

    return install


def gaps(requirements, *, deps=True, present=()):
    return closure(requirements, deps=deps).gaps(present)


def missing(*requirements, **options):
    return [gap.requirement for gap in gaps(requirements, **options)]


# --- what the user asked for --------------------------------------------------------------------


def test_nothing_is_missing_of_nothing():
    assert gaps([]) == ()


def test_a_complete_install_has_no_gaps(install):
    install("zoo-a", "zoo-b>=1")
    install("zoo-b")
    assert gaps(["zoo-a"]) == ()


def test_a_requirement_that_nothing_meets_is_a_gap_of_the_user():
    assert gaps(["zoo-a>=1"]) == (Gap("zoo-a>=1", "zoo-a", wanted_by="", lenient=False),)


def test_a_gap_is_written_as_an_installer_wants_it():
    for given, gap in {
        "Zoo.A": "zoo-a",
        "zoo_a [Fast, Extra_One] < 2, >= 1": "zoo-a[extra-one,fast]<2,>=1",
        "zoo-a==1; python_version >= '3'": "zoo-a==1",
        "zoo-a @ https://x.example/a.whl": "zoo-a @ https://x.example/a.whl",
        "zoo-a[z]@https://x.example/a.whl ; os_name != ''": "zoo-a[z] @ https://x.example/a.whl",
    }.items():
        (found,) = gaps([given])
        assert (found.requirement, found.name) == (gap, "zoo-a"), given


def test_a_wheel_is_known_by_its_file_name(install):
    wheels = (
        "https://x.example/y/Zoo_A-1.0-py3-none-any.whl",
        "https://x.example/y/zoo.a-1.0+local-py3-none-any.whl?token=a/b#sha256=00",
        "emfs:/folder-1/zoo_a-1.0-py3-none-any.whl",
        "emfs:zoo_a-1.0-py3-none-any.whl",
        "../a folder/zoo_a-1.0-py3-none-any.whl",
        "zoo_a-1.0-py3-none-any.whl",
        "zoo_a-1.0+local-1-py3-none-any.whl",
    )
    for wheel in wheels:
        assert gaps([wheel]) == (Gap(wheel, "zoo-a", wanted_by="", lenient=False),)
    install("zoo-a", "zoo-b")
    for wheel in wheels:
        assert missing(wheel) == ["zoo-b"], wheel


def test_a_marker_that_does_not_apply_here_wants_nothing(install):
    install("zoo-b", "zoo-c; python_version < '3'")
    assert missing("zoo-a; python_version < '3'", "zoo-a; extra == 'x'", "zoo-b") == []


def test_what_is_no_requirement_is_left_to_the_installer():
    wheels = ("a.whl", "https://x.example/-.whl")
    for text in ("", "no requirement!", "https://x.example/a.zip", *wheels):
        assert missing(text) == [], text


def test_versions_are_the_installers_to_judge(install):
    install("zoo-a", "zoo-b>5")
    install("zoo-b")
    assert missing("zoo-a>5") == []


# --- what that requires -------------------------------------------------------------------------


def test_requirements_are_followed_to_the_end(install):
    install("zoo-a", "Zoo.B")
    install("zoo-b", "zoo-c")
    install("zoo-c", "zoo-d>=1; python_version > '3'")
    assert gaps(["zoo-a"]) == (Gap("zoo-d>=1", "zoo-d", wanted_by="zoo-c", lenient=False),)


def test_without_deps_only_the_roots_are_looked_at(install):
    install("zoo-a", "zoo-b")
    assert missing("zoo-a", "zoo-c", deps=False) == ["zoo-c"]


def test_extras_are_wanted_only_when_asked_for(install):
    install("zoo-a", "zoo-b; extra == 'big-one'", "zoo-c; extra == 'other'")
    assert missing("zoo-a") == []
    assert missing("zoo-a[Big_One]") == ["zoo-b"]


def test_extras_of_requirements_are_honoured(install):
    install("zoo-a", "zoo-a[one,two]; extra == 'all'", "zoo-b[three]; extra == 'two'")
    install("zoo-b", "zoo-c; extra == 'three'")
    assert missing("zoo-a[all]") == ["zoo-c"]


def test_a_distribution_reached_again_with_new_extras_is_walked_for_those(install):
    install("zoo-a", "zoo-b", "zoo-c")
    install("zoo-b", "zoo-d; extra == 'x'")
    install("zoo-c", "zoo-b[x]")
    assert missing("zoo-a") == ["zoo-d"]


def test_cycles_end(install):
    install("zoo-a", "zoo-b[x]", "zoo-a[y]")
    install("zoo-b", "zoo-a[x]", "zoo-c", "zoo-b[x]; extra == 'x'")
    assert missing("zoo-a") == ["zoo-c"]


def test_roots_come_first_then_the_nearest(install):
    install("zoo-a", "zoo-b", "zoo-z", "zoo-y")
    install("zoo-b", "zoo-c", "zoo-e")
    assert missing("zoo-a", "zoo-x") == ["zoo-x", "zoo-z", "zoo-y", "zoo-c", "zoo-e"]


# --- a name once --------------------------------------------------------------------------------


def test_a_name_wanted_often_is_one_gap_that_asks_for_all(install):
    install("zoo-a", "zoo-c[x]>=1")
    install("zoo-b", "Zoo_C[y]<3,>=1")
    assert gaps(["zoo-a", "zoo-b"]) == (Gap("zoo-c[x,y]<3,>=1", "zoo-c", "zoo-a", lenient=False),)


def test_a_url_takes_the_place_of_versions(install):
    install("zoo-a", "zoo-b>=1", "zoo-b[x] @ https://x.example/b.whl", "zoo-c>=1")
    wheel = "emfs:/zoo_c-1.0-py3-none-any.whl"
    assert missing("zoo-a", wheel) == [wheel, "zoo-b[x] @ https://x.example/b.whl"]


# --- Pyodide's own ------------------------------------------------------------------------------


def test_what_pyodides_own_packages_require_is_best_effort(install):
    install("zoo-a", "zoo-b", source="pyodide\n")
    install("zoo-c", "zoo-d", source="https://x.example/zoo_c-1.0-py3-none-any.whl")
    assert gaps(["zoo-a", "zoo-c"]) == (
        Gap("zoo-b", "zoo-b", wanted_by="zoo-a", lenient=True),
        Gap("zoo-d", "zoo-d", wanted_by="zoo-c", lenient=False),
    )


def test_what_others_want_of_the_same_name_makes_it_strict(install):
    install("zoo-a", "zoo-c[x]<2", source="pyodide")
    install("zoo-b", "zoo-c>=1")
    strict = (Gap("zoo-c>=1", "zoo-c", wanted_by="zoo-b", lenient=False),)
    assert gaps(["zoo-a", "zoo-b"]) == gaps(["zoo-b", "zoo-a"]) == strict


def test_what_hangs_on_pyodides_own_packages_is_followed(install):
    install("zoo-a", "zoo-b", source="pyodide")
    install("zoo-b", "zoo-c")
    assert gaps(["zoo-a"]) == (Gap("zoo-c", "zoo-c", wanted_by="zoo-b", lenient=False),)


def test_what_is_known_to_be_there_is_no_gap(install):
    install("zoo-a", "zoo-b", "zoo-c")
    assert missing("zoo-a", "libzoo", present={"libzoo", "zoo-b"}) == ["zoo-c"]


# --- odd distributions --------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["Zoo.A", "zoo__a", "zoo-a", "ZOO_A"])
def test_folders_may_be_named_in_other_ways(install, folder):
    install("Zoo.A", "zoo-b", folder=folder)
    assert missing("zoo-a") == ["zoo-b"]


def test_mock_packages_in_memory_are_found_by_any_spelling(monkeypatch):
    class Mock(importlib.metadata.Distribution):
        def read_text(self, filename):
            return "Name: Zoo_Mock\nVersion: 1\n" if filename == "METADATA" else None

        def locate_file(self, path):
            return None

    class Finder(importlib.abc.MetaPathFinder):
        def find_distributions(self, context):
            return [Mock()] if context.name in {None, "Zoo_Mock"} else []

    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    assert missing("zoo-mock") == []


@pytest.mark.parametrize(
    "line",
    ["", "no requirement!", "zoo-x; no marker", "zoo-x; 'a' == 'b'", "zoo-x; os_name ~= 'a'"],
)
def test_what_cannot_be_read_is_skipped(install, line):
    install("zoo-a", line, "zoo-b")
    assert missing("zoo-a") == ["zoo-b"]


@pytest.mark.parametrize("metadata", [b"", b"\n", b"\xff\xfe", b"nothing of the kind"])
def test_without_metadata_nothing_more_is_wanted(install, metadata):
    install("zoo-a", metadata=metadata)
    assert missing("zoo-a", "zoo-b") == ["zoo-b"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="it forgets by the folder's time alone")
def test_what_was_installed_a_moment_ago_is_seen(install, tmp_path):
    # importlib looks into a folder again when its time has changed; clocks of browsers are coarse.
    os.utime(tmp_path, (0, 0))
    assert missing("zoo-a") == ["zoo-a"]
    install("zoo-a")
    os.utime(tmp_path, (0, 0))
    assert missing("zoo-a") == []


# --- versions -------------------------------------------------------------------------------------


def test_a_version_that_some_requirement_does_not_take_is_a_misfit(install):
    install("zoo-a", "zoo-b>=2", "zoo-c>=1", "zoo-d")
    for name in ("zoo-b", "zoo-c", "zoo-d"):
        install(name)
    found = closure(["zoo-a"])
    assert found.misfits({"zoo-a"}) == ["zoo-b"]
    assert found.misfits({"zoo-b"}) == ["zoo-b"]
    assert found.misfits({"zoo-c"}) == [], "what was there before is as it was"


def test_what_the_user_asks_for_counts_always(install):
    install("zoo-a")
    assert closure(["zoo-a<1"]).misfits(()) == ["zoo-a"]
    assert closure(["zoo-a<=1", "zoo-a==1.0.0"]).misfits(()) == []


def test_pre_releases_fit_where_they_are_there(install):
    install("zoo-a", metadata=b"Metadata-Version: 2.1\nName: zoo-a\nVersion: 2.0b1\n")
    assert closure(["zoo-a>=1"]).misfits({"zoo-a"}) == []
    assert closure(["zoo-a>=2"]).misfits({"zoo-a"}) == ["zoo-a"]


def test_a_version_that_cannot_be_parsed_is_not_judged(install):
    for name, version in {"zoo-a": "", "zoo-b": "Version: one\n"}.items():
        install(name, metadata=f"Metadata-Version: 2.1\nName: {name}\n{version}".encode())
    assert closure(["zoo-a>=2", "zoo-b>=2"]).misfits({"zoo-a", "zoo-b"}) == []


def test_builds_of_pyodide_require_no_version(install):
    install("zoo-a", "zoo-b>=2", source="pyodide")
    install("zoo-b")
    assert closure(["zoo-a"]).misfits({"zoo-a", "zoo-b"}) == []


def test_what_is_new_must_be_for_this_python(install):
    head = "Metadata-Version: 2.1\nName: {}\nVersion: 1.0\nRequires-Python: {}\n"
    for name, python in {"zoo-a": ">=3.99", "zoo-b": ">=3.8", "zoo-c": "?"}.items():
        install(name, metadata=head.format(name, python).encode())
    found = closure(["zoo-a", "zoo-b", "zoo-c"])
    assert found.unfit({"zoo-a", "zoo-b", "zoo-c"}) == ["zoo-a"]
    assert found.unfit({"zoo-b"}) == []
