"""Over any animal of the zoo, the server delivers the true files, or says what is wrong."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pyodide_mirror.server.cache.disk import Disk
from pyodide_mirror.server.cache.download import Downloads
from pyodide_mirror.server.fetching.client import UpstreamClient, UpstreamError
from pyodide_mirror.server.repository import Missing, Repository
from pyodide_mirror.server.source import Stored
from pyodide_mirror.server.upstreams.upstream import Upstream
from tests.support.wheels import INSTALLED, REBUILT
from tests.zoo.parts import BY_FILENAME
from tests.zoo.zoo import ANIMALS, Zoo

AT_ONCE = 12
COMPLETE = {name: animal.alone_in("node") for name, animal in ANIMALS.items()}
"""CORS is no obstacle for a server, so it delivers what Node could install."""
COMPLETE["deep-value"] = False  # only JavaScript's parser gets past what nobody wants


def timeout_for(name: str) -> float:
    """Seconds: many for an animal that is complete, which may be slow on a busy machine."""
    if "hangs" in name:
        return 2.0
    return 30.0 if COMPLETE[name] else 1.0


@asynccontextmanager
async def repository(url: str, folder: Path, timeout: float) -> AsyncIterator[Repository]:
    downloads = Downloads(Disk(folder, 1 << 30))
    client = UpstreamClient(url, login=None, timeout=timeout)
    opened = Repository([], [Upstream(client, downloads)])
    try:
        yield opened
    finally:
        await downloads.close()
        await opened.close()


async def delivered(name: str, zoo: Zoo, folder: Path, limit: asyncio.Semaphore) -> str:
    """What a client of the server gets of the tree behind an animal: "all", or what is wrong."""
    animal = ANIMALS[name]
    versions = INSTALLED | {"zoo-root": animal.root_version}
    async with limit, repository(zoo.url(name), folder / name, timeout_for(name)) as mirror:
        for project, version in versions.items():
            filename = f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
            try:
                found, file = await mirror.file(project, filename)
                metadata = await found.source.metadata(project, file)
                blob = await mirror.blob(project, found, file)
                path = blob.path if isinstance(blob, Stored) else await blob.whole()
            except UpstreamError as error:
                return f"broken: {error}"
            except Missing as error:
                return f"missing: {error}"
            wheels = [BY_FILENAME.get(filename), REBUILT.get(filename)]
            wheel = next((w for w in wheels if w and w.data == path.read_bytes()), None)
            if wheel is None:
                return "WRONG BYTES"
            # What an index publishes with its digest is its word, wrong as it may be.
            promised = (file.metadata or {}).get("sha256")
            if metadata != wheel.metadata and hashlib.sha256(metadata).hexdigest() != promised:
                return "WRONG METADATA"
    return "all"


async def test_over_any_animal_the_server_delivers_the_truth_or_says_what_is_wrong(
    tmp_path: Path,
) -> None:
    limit = asyncio.Semaphore(AT_ONCE)
    with Zoo() as zoo:
        results = await asyncio.gather(*(delivered(name, zoo, tmp_path, limit) for name in ANIMALS))
    wrong = {
        name: result
        for name, result in zip(ANIMALS, results, strict=True)
        if (result == "all") != COMPLETE[name] or "WRONG" in result
    }
    assert wrong == {}
