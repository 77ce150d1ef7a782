"""Installs through every animal of the zoo, with Pyodide's own micropip, in CPython.

The transport applies the rules that a browser has for pages, so that all end as in one; they take a
tenth of the time. Pages install through the animals at which engines differ (`tests/browser`).
"""

import asyncio
from pathlib import Path

import pytest

from pyodide_mirror import MirrorError
from pyodide_mirror.transport import (
    NO_PROGRESS,
    CorsTransport,
    PageFacts,
    Progress,
    Request,
    Response,
    Transport,
)
from tests.support.install_world import World, world_in
from tests.support.pyodide_micropip import VERSIONS
from tests.zoo.table import LARGE, TIMEOUT
from tests.zoo.zoo import ANIMALS, Animal, Running

NEWEST, *OLDER = VERSIONS
TELLING = ("no-cors", "relative-urls", "metadata-lies", "dep-file-tampered", "dep-page-hangs")
"""The animals that older micropips install through as well."""


class Watched:
    """A transport that knows which of its requests go on, and what was asked after the end."""

    def __init__(self, transport: Transport) -> None:
        self.page = transport.page
        self.asking: set[asyncio.Task[object] | None] = set()
        self.ended = False
        self.late: list[str] = []
        self._transport = transport

    async def fetch(self, request: Request, progress: Progress = NO_PROGRESS) -> Response:
        if self.ended:
            self.late.append(request.url)
        task = asyncio.current_task()
        self.asking.add(task)
        try:
            return await self._transport.fetch(request, progress)
        finally:
            self.asking.discard(task)

    def left(self) -> list[str]:
        """What nobody ends, though the install has ended."""
        self.ended = True
        return [repr(task) for task in self.asking if task is None or not task.cancelling()]


def completes(animal: Animal, others: tuple[str, ...]) -> bool:
    """Whether an install through the animal, followed by others, completes in CPython."""
    if others:
        return animal.beside_healthy
    # Only JavaScript's parser gets past what is deep and wanted by nobody.
    return animal.name != "deep-value" and animal.alone_in("chromium")


async def install(world: World, animal: Animal, others: tuple[str, ...]) -> str:
    """Install through the animal, followed by others; the error."""
    running = [Running(ANIMALS[name]) for name in (animal.name, *others)]
    timeout = 30.0 if animal.name in LARGE else TIMEOUT
    urls = [each.url for each in running]
    try:
        await world.install("zoo-root", mirrors=urls, canary="zoo-canary", timeout=timeout)
    except (MirrorError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        await world.session.settled()
        for each in running:
            each.close()
    return ""


async def difference(world: World, animal: Animal, others: tuple[str, ...]) -> str:
    """Install; how that does not end as it should."""
    tasks = asyncio.all_tasks()
    error = await install(world, animal, others)
    # micropip leaves tasks behind that are between two requests: they end at the next one.
    running = world.web.left()
    if left := asyncio.all_tasks() - tasks:
        await asyncio.wait(left)
    running += world.web.late
    expected = animal.may_install(*others) if completes(animal, others) else [{}]
    modules = {path.stem.replace("_", "-"): path.read_text() for path in world.folder.glob("*.py")}
    as_expected = (
        world.installed in expected
        and bool(error) == (not world.installed)
        and bool(list(world.folder.iterdir())) == bool(world.installed)
        and all(f'"{name} {version}"' in modules[name] for name, version in world.installed.items())
        and not running
    )
    files = sorted(path.name for path in world.folder.iterdir())
    return "" if as_expected else f"{error or 'installed'}, {files}, {running}"


@pytest.mark.parametrize("others", [(), ("healthy",)], ids=["alone", "beside a healthy one"])
@pytest.mark.parametrize(
    ("version", "names"),
    [(NEWEST, tuple(ANIMALS)), *((version, TELLING) for version in OLDER)],
    ids=VERSIONS,
)
async def test_an_install_completes_or_leaves_nothing(
    tmp_path: Path, version: str, names: tuple[str, ...], others: tuple[str, ...]
) -> None:
    wrong = {}
    for name in names:
        (folder := tmp_path / name).mkdir()
        web = Watched(CorsTransport(PageFacts(origin="http://page.example")))
        with world_in(folder, version, web=web) as world:
            if told := await difference(world, ANIMALS[name], others):
                wrong[name] = told
    assert wrong == {}
