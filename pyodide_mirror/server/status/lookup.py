"""What the page for people finds of a project that its visitor looks up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from packaging.version import Version

from pyodide_mirror.model import is_project_name, normalize
from pyodide_mirror.server.fetching import UpstreamError
from pyodide_mirror.server.source import DeniedError, Missing, UnreadableError, parse_filename

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyodide_mirror.model import File, ProjectPage
    from pyodide_mirror.server.repository import Repository

_MOST_SIMILAR: Final = 20
MOST_FILES: Final = 100
"""Files of a project that are shown; large projects have thousands."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a project.

    ``outcome``: ``found``, or the key of the words that say why it is not. ``detail``: what was
    seen. ``rules``: those about it; ``only_local``: the pattern by which no other index is asked.
    ``similar``: names that are known, where there is no such project.
    """

    project: str
    outcome: str = "found"
    detail: str = ""
    page: ProjectPage | None = None
    source: str = ""
    rules: tuple[str, ...] = ()
    only_local: str = ""
    similar: tuple[str, ...] = ()


async def look_up(repository: Repository, text: str) -> Found:
    """Find a project by any spelling of its name, as the clients of the index do."""
    name = text.strip()
    if not is_project_name(name):
        return Found(name[:200], "find.name")
    project = normalize(name)
    try:
        found = await repository.find(project)
    except Missing:
        # An error of the rules' file would have been told before.
        pattern, _ = repository.rules.about(project)
        similar = await _similar(repository, project)
        outcome = "find.only" if pattern else "find.none"
        return Found(project, outcome, only_local=pattern, similar=similar)
    except DeniedError as error:
        return Found(project, "find.denied", str(error))
    except UnreadableError as error:
        return Found(project, "find.unreadable", str(error))
    except UpstreamError as error:
        return Found(project, "find.failed", str(error))
    pattern, rules = repository.rules.about(project)
    return Found(
        project, page=found.page, source=found.source.name, rules=rules, only_local=pattern
    )


def newest_files(page: ProjectPage) -> Sequence[tuple[str, File]]:
    """The files of a page, each with its version: the newest versions first, bounded."""
    told = [(parse_filename(file.filename), file) for file in page.files]
    found = [(parsed[1] if parsed else "", file) for parsed, file in told]
    found.sort(key=lambda each: Version(each[0] or "0.dev0"), reverse=True)
    return found[:MOST_FILES]


async def _similar(repository: Repository, project: str) -> tuple[str, ...]:
    """Known projects whose names begin with that, or else have it in them."""
    try:
        names = await repository.projects()
    except UnreadableError:  # which the page says in another place
        return ()
    begin = [name for name in names if name.startswith(project)]
    inside = [name for name in names if project in name[1:] and name not in begin]
    return (*begin, *inside)[:_MOST_SIMILAR]
