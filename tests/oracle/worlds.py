"""Worlds: an index with a few projects, and what is asked of it."""

import html
import json
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from pyodide_mirror.index import JSON_TYPE
from pyodide_mirror.model import normalize
from tests.support.fake_web import Answer
from tests.support.wheels import Sdist, Wheel, make_sdist, make_wheel

PROJECTS = ("zqa", "zqb-x", "zqc", "zqd-y-z")
"""Normalized names; nothing of this kind is installed anywhere."""
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "zqa": ("zqa", "ZqA"),
    "zqb-x": ("zqb-x", "zqb_x", "Zqb.X"),
    "zqc": ("zqc",),
    "zqd-y-z": ("zqd-y-z", "zqd.y_z", "zqd--y.Z"),
}
VERSIONS = (
    *("0.9", "1.0", "1.0.1", "1.0.post1", "1.5", "2.0", "2.0rc1", "2.1.dev3", "1.0+cpu"),
    *("01.7", "1!0.5"),
)
SPECIFIERS = ("<2", "!=2.0", "==1.*", ">=1,<2", ">1.0", "<=1.5", ">=2.0rc1", ">=3", "~=1.0")
OPERATORS = (*("",) * 4, ">=", "<=", "==", "==", "!=", "<", ">", "~=")
"""In front of a version that there is; nothing: any version will do."""
MARKERS = (
    *("",) * 6,
    *('python_version >= "3.8"', 'python_version < "3"', 'sys_platform == "win32"'),
    *('os_name == "posix" and python_version > "3.0"', 'implementation_name in "cpython pypy"'),
)
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "fast": ("fast", "Fast"),
    "hf-transfer": ("hf-transfer", "hf_transfer", "HF.transfer"),
}
ALL_EXTRAS = (*EXTRAS, "all", "gone")
PYTHON = platform.python_version()
QUIRKS: tuple[dict[str, Any], ...] = (
    *({},) * 8,
    {"requires_python": ">=3.8"},
    {"requires_python": ">=2.7,!=3.0.*"},
    {"requires_python": ">=3.99"},
    {"requires_python": "<3"},
    {"requires_python": "!=3.11.*"},
    {"yanked": True},
    {"yanked": "it is broken"},
    {"tag": "py2.py3-none-any"},
    {"tag": "py2-none-any"},
    {"tag": "cp27-cp27m-win32"},
    {"is_sdist": True},
    {"style": "described"},
    {"style": "folded"},
    {"style": "other lines"},
    {"folder": "dashes"},
)
"""What a release may have that is not usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A file of a project.

    ``extras``: requirements by extra. ``says_python``: whether the page has its
    ``requires-python``. ``promises``: whether the page promises its core metadata.
    """

    version: str
    requires: tuple[str, ...] = ()
    extras: tuple[tuple[str, tuple[str, ...]], ...] = ()
    requires_python: str = ""
    says_python: bool = True
    promises: bool = True
    yanked: bool | str = False
    tag: str = "py3-none-any"
    is_sdist: bool = False
    style: str = ""
    folder: str = ""

    def dist(self, project: str) -> Sdist:
        """Make the file."""
        python = self.requires_python or None
        if self.is_sdist:
            return make_sdist(project, self.version, requires_python=python)
        made = make_wheel(
            project,
            self.version,
            requires=[*self.requires, *self._of_extras()],
            requires_python=python,
            extras={name: () for name, _ in self.extras},
            tag=self.tag,
        )
        if not (self.style or self.folder):
            return made
        return make_wheel(
            project,
            self.version,
            requires_python=python,
            tag=self.tag,
            metadata=STYLES[self.style](made.metadata),
            info=f"{project}-{self.version}.dist-info" if self.folder else "",
        )

    def _of_extras(self) -> Iterator[str]:
        """Yield the requirements of the extras."""
        for name, requires in self.extras:
            for text in requires:
                requirement, _, marker = text.partition(" ; ")
                condition = f"({marker}) and " if marker else ""
                yield f'{requirement} ; {condition}extra == "{name}"'


STYLES: Mapping[str, Callable[[bytes], bytes]] = {
    "": lambda metadata: metadata,
    "described": lambda metadata: metadata + b"\nRequires-Dist: znowhere\nName: other\n",
    "folded": lambda metadata: metadata.replace(b"Requires-Dist: ", b"Requires-Dist:\n  "),
    "other lines": lambda metadata: metadata.replace(b"\n", b"\r\n"),
}
"""How METADATA may be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """An index, what is asked of it, and how its pages are written.

    ``constraints``: requirements that hold for what is installed anyway. ``pre``: pre-releases will
    do. ``relative``: URLs of files are. ``is_html``: PEP 503 pages, not PEP 691. ``is_old``: core
    metadata are promised as before PEP 714. ``is_complete``: pages have versions and sizes (PEP
    700).
    """

    wanted: tuple[str, ...]
    projects: Mapping[str, tuple[Release, ...]] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    pre: bool = False
    is_html: bool = False
    relative: bool = False
    is_old: bool = False
    is_complete: bool = False

    def answers(self, base: str) -> Iterator[tuple[str, Answer]]:
        """Yield the URLs below ``base`` and what they answer."""
        for project, releases in self.projects.items():
            rows = []
            for release in releases:
                dist = release.dist(project)
                path = f"/files/{quote(dist.filename, safe='')}"
                rows.append(self._row(release, dist, ("../.." if self.relative else base) + path))
                yield base + path, Answer(body=dist.data)
                if isinstance(dist, Wheel) and release.promises:
                    yield f"{base}{path}.metadata", Answer(body=dist.metadata)
            page = _html_page(rows) if self.is_html else self._json_page(project, rows)
            yield f"{base}/simple/{project}/", page

    def _row(self, release: Release, dist: Sdist, url: str) -> dict[str, Any]:
        """Describe a file as PEP 691 has it."""
        row: dict[str, Any] = {"filename": dist.filename, "url": url}
        row["hashes"] = {"sha256": dist.sha256}
        row["yanked"] = release.yanked
        if release.requires_python and release.says_python:
            row["requires-python"] = release.requires_python
        if isinstance(dist, Wheel) and release.promises:
            name = "data-dist-info-metadata" if self.is_old else "core-metadata"
            row[name] = {"sha256": dist.metadata_sha256}
        if self.is_complete:
            row["size"] = len(dist.data)
        return row

    def _json_page(self, project: str, rows: list[dict[str, Any]]) -> Answer:
        document: dict[str, Any] = {"meta": {"api-version": "1.0"}, "name": project, "files": rows}
        if self.is_complete:
            document["meta"]["api-version"] = "1.1"
            document["versions"] = [one.version for one in self.projects[project]]
        return Answer(body=json.dumps(document).encode(), headers={"content-type": JSON_TYPE})


def tidied(world: World) -> World:
    """The same world with what micropip stumbles over put right, so that it can do its best."""
    projects = {
        name: tuple(_tidied_release(one) for one in releases if suits_python(one))
        for name, releases in world.projects.items()
    }
    return replace(
        world,
        wanted=tuple(map(_tidied_extra, world.wanted)),
        projects={name: releases for name, releases in projects.items() if releases},
        is_html=False,
        relative=False,
        is_old=False,
        constraints=tuple(map(_tidied_name, world.constraints)),
    )


def _tidied_name(requirement: str) -> str:
    return re.sub(r"^[\w.-]+", lambda match: normalize(match[0]), requirement)


def suits(release: Release) -> bool:
    """Whether it can be installed in the Python of these tests."""
    return suits_python(release) and "py3" in release.tag and not release.is_sdist


def suits_python(release: Release) -> bool:
    """Whether it may be installed, going by the ``Requires-Python``."""
    return SpecifierSet(release.requires_python).contains(PYTHON)


def _tidied_release(release: Release) -> Release:
    return replace(
        release,
        requires=tuple(map(_tidied_extra, release.requires)),
        extras=tuple(
            (normalize(name), tuple(map(_tidied_extra, requires)))
            for name, requires in (*((name, ()) for name in ALL_EXTRAS), *release.extras)
        ),
        style="",
        folder="",
    )


def _tidied_extra(requirement: str) -> str:
    return re.sub(r"\[.*?\]", lambda match: normalize(match[0]), requirement)


_PROMISES = {
    "core-metadata": "data-core-metadata",
    "data-dist-info-metadata": "data-dist-info-metadata",
}
"""What promises core metadata, in JSON and in HTML."""


def _html_page(rows: list[dict[str, Any]]) -> Answer:
    anchors = []
    for row in rows:
        attributes = {"href": f"{row['url']}#sha256={row['hashes']['sha256']}"}
        if "requires-python" in row:
            attributes["data-requires-python"] = row["requires-python"]
        if row["yanked"] is not False:
            attributes["data-yanked"] = "" if row["yanked"] is True else row["yanked"]
        for name, attribute in _PROMISES.items():
            if name in row:
                attributes[attribute] = f"sha256={row[name]['sha256']}"
        text = " ".join(f'{name}="{html.escape(value)}"' for name, value in attributes.items())
        anchors.append(f"<a {text}>{row['filename']}</a><br>")
    body = "<!DOCTYPE html><html><body>\n" + "\n".join(anchors) + "\n</body></html>\n"
    return Answer(body=body.encode(), headers={"content-type": "text/html"})


# --- how they are drawn ---------------------------------------------------------------------------


Projects = Mapping[str, tuple[Release, ...]]


@st.composite
def requirements(draw: st.DrawFn, there: Projects, *, markers: bool = True) -> str:
    """Draw a requirement (PEP 508) that one of these projects may meet."""
    project = draw(st.sampled_from(tuple(there)))
    name = draw(st.sampled_from(SPELLINGS[project]))
    extra = draw(st.sampled_from((*("",) * 8, *EXTRAS, *ALL_EXTRAS)))
    extras = f"[{draw(st.sampled_from(EXTRAS.get(extra, (extra,))))}]" if extra else ""
    marker = draw(st.sampled_from(MARKERS)) if markers else ""
    specifier = draw(specifiers(there[project]))
    return f"{name}{extras}{specifier}" + (f" ; {marker}" if marker else "")


@st.composite
def specifiers(draw: st.DrawFn, releases: tuple[Release, ...]) -> str:
    """Draw a version specifier (PEP 440), which most often some of these releases meet."""
    if not releases or draw(st.sampled_from((*(False,) * 7, True))):
        return draw(st.sampled_from(SPECIFIERS))
    operator = draw(st.sampled_from(OPERATORS))
    version = draw(st.sampled_from(releases)).version
    if operator in {"", "==", "!="}:
        return operator and operator + version
    return operator + version.partition("+")[0]  # PEP 440: no local version may stand here


@st.composite
def releases(draw: st.DrawFn, project: str, version: str, later: Projects) -> Release:
    """Draw a release that needs some of the projects that come ``later``."""
    needs = st.lists(requirements(later), max_size=2) if later else st.just([])
    if draw(st.sampled_from((*(False,) * 15, True))):  # a circle, perhaps
        needs = st.just([draw(st.sampled_from(PROJECTS))])
    extras = draw(st.lists(st.sampled_from(tuple(EXTRAS)), max_size=1))
    own = [(draw(st.sampled_from(EXTRAS[name])), tuple(draw(needs))) for name in extras]
    if own and draw(st.booleans()):
        own.append(("all", (f"{project}[{draw(st.sampled_from(EXTRAS[extras[0]]))}]",)))
    return Release(
        version=version,
        requires=tuple(draw(needs)),
        extras=tuple(own),
        says_python=draw(st.booleans()),
        promises=draw(st.booleans()),
        **draw(st.sampled_from(QUIRKS)),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a world; whatever a project needs comes after it, so that nothing needs itself."""
    projects: dict[str, tuple[Release, ...]] = {}
    for project in reversed(PROJECTS):
        count = draw(st.sampled_from((1, 1, 1, 2, 2, 2, 3, 3, 4, 0)))
        versions = st.lists(st.sampled_from(VERSIONS), min_size=count, max_size=count, unique=True)
        later = dict(projects)
        projects[project] = tuple(
            draw(releases(project, version, later)) for version in draw(versions)
        )
    there = {name: releases for name, releases in projects.items() if releases}
    wanted = st.lists(requirements(there or projects, markers=False), min_size=1, max_size=2)
    return World(
        wanted=tuple(draw(wanted)),
        projects=there,
        constraints=tuple(draw(st.lists(_constraints(there), max_size=1))) if there else (),
        pre=draw(st.sampled_from((*(False,) * 7, True))),
        is_html=draw(st.booleans()),
        relative=draw(st.booleans()),
        is_old=draw(st.booleans()),
        is_complete=draw(st.booleans()),
    )


@st.composite
def _constraints(draw: st.DrawFn, there: Projects) -> str:
    """Draw a constraint."""
    project = draw(st.sampled_from(tuple(there)))
    name = draw(st.sampled_from(SPELLINGS[project]))
    return name + (draw(specifiers(there[project])) or ">0")
