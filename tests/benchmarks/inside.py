"""The installs that `tests.benchmarks.installs` measures; its source is sent into Pyodide.

Each kind of install begins with nothing installed, and at an index URL that no cache of the browser
knows; only repeated ones find what the visit before has left.
"""

import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import distributions

import js
import micropip
from pyodide.code import run_js
from pyodide.ffi import to_js

import pyodide_mirror
from pyodide_mirror.api import SESSION
from pyodide_mirror.installing import mirror_client
from pyodide_mirror.probing.race import MAX_AT_ONCE


class Stage:
    """Installs a project by any of the kinds below.

    ``url``: the good mirror's index URL with `/0/` in it, for a visit. ``bad``: index URLs of bad
    mirrors, ``hanging``: those of them that never answer. Kinds return seconds, or None when the
    install failed.
    """

    def __init__(self, project: str, url: str, bad: list[str], hanging: list[str]) -> None:
        self.project = project
        self.url = url
        self.bad = bad
        self.answering = [url for url in bad if url not in hanging]
        self.places = MAX_AT_ONCE - len(hanging)
        self.visits = 0

    # --- by plain micropip ---

    async def plain(self) -> float:
        """Through one healthy mirror."""
        return await seconds(self._plain(self._fresh()))

    async def plain_repeat(self) -> float:
        """Once more, minutes later: the browser's HTTP cache is warm."""
        return await seconds(self._plain(await self._visited(self._plain)))

    async def plain_offline(self) -> float | None:
        """Once more, an hour later, and the mirror is gone."""
        return await seconds_if_done(self._plain(await self._gone(self._plain)))

    # --- by us ---

    async def ours(self) -> float:
        """Through one healthy mirror, its probe included."""
        return await seconds(self._ours(self._fresh()))

    async def ours_after(self) -> float:
        """The same with all the bad mirrors ahead."""
        return await seconds(self._ours(*self.bad, self._fresh()))

    async def ours_after_nine(self) -> float:
        """The same with nine of them ahead."""
        return await seconds(self._ours(*self.bad[:9], self._fresh()))

    async def ours_configured(self) -> float:
        """By micropip's own function, after a configure() that is not measured."""
        await pyodide_mirror.configure(self._fresh(), canary="bench-canary", remember=False)
        return await seconds(micropip.install(self.project))

    async def ours_repeat(self) -> float:
        """Once more, minutes later."""
        return await seconds(self._ours(await self._visited(self._ours)))

    async def ours_offline(self) -> float | None:
        """Once more, an hour later, and the mirror is gone."""
        url = await self._gone(self._ours)
        before, mirror_client.FRESH = mirror_client.FRESH, 0.0
        try:
            return await seconds_if_done(self._ours(url))
        finally:
            mirror_client.FRESH = before

    # --- by the browser alone ---

    async def floor(self) -> float:
        """The requests that tell what is wrong with the bad mirrors that answer, and no Python."""
        return await seconds(_ask_all(to_js(self.answering), self.places))

    async def floor_of_nine(self) -> float:
        """Those for the first nine."""
        answering = [url for url in self.answering if url in self.bad[:9]]
        return await seconds(_ask_all(to_js(answering), self.places))

    # --- in turn ---

    async def run(self, kinds: list[str]) -> str:
        """Do each kind, and return as JSON its seconds and what it has installed."""
        found = {}
        for kind in kinds:
            await clean()
            took = await getattr(self, kind)()
            installs = took is not None and not kind.startswith("floor")
            found[kind] = took, installed() if installs else None
        await clean()
        return json.dumps(found)

    def _fresh(self, prefix: str = "") -> str:
        self.visits += 1
        return self.url.replace("/0/", f"/{prefix}{time.time()}-{self.visits}/")

    async def _visited(self, install: Callable[[str], Awaitable[object]], prefix: str = "") -> str:
        """Return the index URL of a visit that has installed, and is over."""
        url = self._fresh(prefix)
        await install(url)
        await leave()
        return url

    async def _gone(self, install: Callable[[str], Awaitable[object]]) -> str:
        """Return that of a mirror which cannot be reached any more."""
        url = await self._visited(install, "old-")
        await js.fetch(url.replace("/simple", "/gone"))
        return url

    def _plain(self, url: str) -> Awaitable[None]:
        return micropip.install(self.project, index_urls=[url])

    def _ours(self, *mirrors: str) -> Awaitable[object]:
        return pyodide_mirror.install(self.project, mirrors=mirrors)


# A failure is followed by a request whose answer no page can read.
_ask_all = run_js("""
async (urls, places) => {
    const ask = async (url, mode) => {
        const options = { mode, cache: "no-store", headers: { Accept: "text/html" } };
        return (await fetch(`${url}/bench-canary/`, options)).text();
    };
    const waiting = [...urls];
    const take = async () => {
        for (let url = waiting.shift(); url; url = waiting.shift())
            await ask(url, "cors").catch(() => ask(url, "no-cors")).catch(() => "unreachable");
    };
    await Promise.all(Array.from({ length: places }, take));
}
""")


async def seconds(work: Awaitable[object]) -> float:
    """Return how long something takes."""
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def seconds_if_done(work: Awaitable[object]) -> float | None:
    """Return how long it takes, or None when it fails."""
    try:
        return await seconds(work)
    except Exception:
        return None


async def leave() -> None:
    """Do what leaving a page does: what the browser keeps is still there."""
    await SESSION.settled()
    SESSION.release()
    names = [name for name in micropip.list() if name.startswith("bench-")]
    if names:
        micropip.uninstall(names)


async def clean() -> None:
    """Leave nothing at all."""
    await leave()
    pyodide_mirror.reset()
    await SESSION.settled()
    await pyodide_mirror.clear_cache()


def installed() -> str:
    """Return what is there: how many projects, and a digest of their versions and all files."""
    found = {}
    for one in distributions():
        if not one.name.startswith("bench-"):
            continue
        found[one.name] = one.version, micropip.list()[one.name].version
        for file in one.files or ():
            # Beside these two, micropip notes there where a wheel is from.
            if ".dist-info" not in str(file) or file.name in {"METADATA", "WHEEL"}:
                content = one.locate_file(file).read_bytes()
                found[str(file)] = hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
    return f"{len(found)} projects and files, {digest}"
