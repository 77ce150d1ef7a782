"""`lean` in browser/fast.js cuts pages down so that they say what the whole ones say."""

import base64
import json
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from pyodide_mirror.index import JSON_TYPE, PageError, best_wheel, parse_page
from pyodide_mirror.model import File, ProjectPage
from tests.support import provision
from tests.support.page_cases import CASES, DEEP
from tests.support.page_makers import EXAMPLES, generated

DRIVER = Path(provision.__file__).with_name("lean_driver.mjs")
FAST_JS = provision.ROOT / "pyodide_mirror" / "browser" / "fast.js"
URL = "https://mirror.example/simple/demo/"


@dataclass(frozen=True)
class Cut:
    """What `lean` makes of a page: its text, and whether Python may take each entry as it is."""

    body: bytes
    checked: bool


@dataclass(frozen=True)
class Compared:
    """A page, and what is left of it, or None where it is left whole."""

    name: str
    body: bytes
    content_type: str
    cut: Cut | None

    def whole(self) -> ProjectPage | str:
        return read(self.body, self.content_type)

    def lean(self) -> ProjectPage | str:
        assert self.cut is not None
        return read(self.cut.body, self.content_type, checked=self.cut.checked)


def read(body: bytes, content_type: str, *, checked: bool = False) -> ProjectPage | str:
    """Read a page; the result of one that is refused is the reason."""
    try:
        return parse_page(body, content_type, URL, "demo", checked=checked)
    except PageError as error:
        return str(error.finding.reason)


@cache
def compared() -> tuple[Compared, ...]:
    """All pages of the table, deep ones, and generated ones; Node is started once."""
    pages = [(case.name, case.body, JSON_TYPE) for case in CASES]
    pages += [(name, body, JSON_TYPE) for name, body in DEEP.items()]
    made = enumerate(generated())
    pages += [(f"generated {number}", page.body, page.content_type) for number, page in made]
    sent = json.dumps([base64.b64encode(body).decode() for _, body, _ in pages])
    done = subprocess.run(
        [str(provision.node()), str(DRIVER), str(FAST_JS)],
        input=sent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cuts = [
        None if one is None else Cut(one[0].encode(), one[1]) for one in json.loads(done.stdout)
    ]
    return tuple(Compared(*page, cut) for page, cut in zip(pages, cuts, strict=True))


def both() -> list[tuple[str, ProjectPage, ProjectPage]]:
    """The pages that are cut down and usable, each whole and lean."""
    found = []
    for page in compared():
        if page.cut is not None:
            whole, lean = page.whole(), page.lean()
            if isinstance(whole, ProjectPage) and isinstance(lean, ProjectPage):
                found.append((page.name, whole, lean))
    return found


def may_suit(filename: str) -> bool:
    """Whether Pyodide might take a wheel, as `packaging` reads its name."""
    try:
        tags = parse_wheel_filename(filename)[3]
    except InvalidWheelFilename:
        return False
    return any(tag.platform == "any" or tag.platform.endswith("wasm32") for tag in tags)


def without_time(file: File) -> tuple[object, ...]:
    """All that a lean page has of a file; the time of its upload is left out."""
    hashes, promised = dict(file.hashes), None if file.metadata is None else dict(file.metadata)
    fields = (file.requires_python, file.yanked, file.size)
    return file.filename, file.url, hashes, promised, *fields


def test_each_page_of_the_table_is_cut_down_or_left_whole() -> None:
    def said(page: Compared) -> str:
        return "whole" if page.cut is None else "plain" if page.cut.checked else "cut"

    found = {page.name: said(page) for page in compared()[: len(CASES)]}
    assert len(found) == len(CASES), "names are unique"
    wrong = {case.name: found[case.name] for case in CASES if found[case.name] != case.lean}
    assert wrong == {}


def test_a_page_is_refused_for_the_same_reason() -> None:
    refused = {}
    for page in compared():
        if page.cut is not None:
            reasons = [one if isinstance(one, str) else "" for one in (page.whole(), page.lean())]
            refused[page.name] = reasons
    different = {name for name, reasons in refused.items() if len(set(reasons)) > 1}
    assert different - DEEP.keys() == set()
    assert sum(any(reasons) for reasons in refused.values()) > EXAMPLES / 20


def test_a_page_is_repaired_alike() -> None:
    pages = both()
    repairs = {name: (whole.repairs, lean.repairs) for name, whole, lean in pages}
    assert {name: found for name, found in repairs.items() if found[0] != found[1]} == {}
    assert sum(bool(found[0]) for found in repairs.values()) > EXAMPLES / 20


def test_files_that_are_kept_are_the_same_and_in_the_same_order() -> None:
    pages = both()
    assert len(pages) > EXAMPLES / 3
    different = {}
    for name, whole, lean in pages:
        left = iter(map(without_time, whole.files))
        # `in` reads on from where it has found the one before.
        if missing := [file for file in map(without_time, lean.files) if file not in left]:
            different[name] = missing
    assert different == {}


def test_no_wheel_that_pyodide_might_take_is_left_out() -> None:
    lost = {}
    for name, whole, lean in both():
        kept = list(map(without_time, lean.files))
        wanted = [without_time(file) for file in whole.files if may_suit(file.filename)]
        if gone := [file for file in wanted if file not in kept]:
            lost[name] = gone
    assert lost == {}
    assert sum(len(whole.files) > len(lean.files) for _, whole, lean in both()) > EXAMPLES / 20


def test_the_best_wheel_is_the_same() -> None:
    best = {
        name: [
            found and without_time(found) for found in (best_wheel(whole, ""), best_wheel(lean, ""))
        ]
        for name, whole, lean in both()
    }
    assert {name: found for name, found in best.items() if found[0] != found[1]} == {}
    assert sum(found[0] is not None for found in best.values()) > EXAMPLES / 4


def test_what_was_deep_is_flat_when_python_takes_it_as_it_is() -> None:
    deep = {page.name: page.cut for page in compared() if page.name in DEEP}
    assert len(deep) == len(DEEP)
    lean = {name: cut.body for name, cut in deep.items() if cut is not None and cut.checked}
    assert lean
    # The page, its meta, its files, an entry, the entry's hashes and those of its metadata.
    brackets = {name: body.count(b"[") + body.count(b"{") for name, body in lean.items()}
    assert {name: count for name, count in brackets.items() if count > 6} == {}
