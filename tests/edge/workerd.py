"""Run the worker in workerd, the runtime of Cloudflare's Workers, behind real sockets.

    with worker(upstream="http://127.0.0.1:8001/simple") as running:
        running.url  # its origin, such as http://127.0.0.1:8002

One Node, with miniflare in it, is started at the first use and ends with this process; each
`worker` or `workers` is a workerd of its own.
"""

import atexit
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pyodide_mirror.edge.folder import COMPATIBILITY_DATE
from tests.edge.driver import Driver
from tests.support import provision

MINIFLARE_VERSION = "4.20260730.0"
WORKER = provision.ROOT / "pyodide_mirror" / "edge" / "worker.js"

_SCRIPT = Path(__file__).with_name("miniflare_driver.mjs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How one worker is set up. `variables` are further ones of its environment.

    Without an upstream there are no others, as for a snippet.
    """

    upstream: str | None
    file_hosts: Sequence[str] = ()
    files: str = "proxy"
    variables: Mapping[str, Any] = field(default_factory=dict)
    assets: Path | None = None
    """A folder of static assets, for the binding ASSETS."""

    def bindings(self) -> dict[str, Any]:
        """The variables of the worker's environment."""
        if self.upstream is None:
            return dict(self.variables)
        own = {
            "UPSTREAM": self.upstream,
            "FILE_HOSTS": " ".join(self.file_hosts),
            "FILES": self.files,
        }
        return own | dict(self.variables)


@dataclass(frozen=True, slots=True)
class Running:
    """A worker that answers."""

    url: str
    """Its origin, without a slash at its end."""


@contextmanager
def worker(
    upstream: str | None,
    *,
    file_hosts: Sequence[str] = (),
    files: str = "proxy",
    assets: Path | None = None,
    script: Path = WORKER,
    **variables: Any,
) -> Iterator[Running]:
    """Run one worker. Origins that files may come from beside `upstream`'s own: `file_hosts`.

    `variables` go into its environment as they are. Raises `DriverError`.
    """
    setting = Setting(
        upstream=upstream, file_hosts=file_hosts, files=files, variables=variables, assets=assets
    )
    with workers([setting], script=script) as (running,):
        yield running


@contextmanager
def workers(settings: Iterable[Setting], *, script: Path = WORKER) -> Iterator[list[Running]]:
    """Run several workers, each on its own port, in one workerd. Raises `DriverError`."""
    described = [
        {"bindings": one.bindings(), "assets": str(one.assets) if one.assets else None}
        for one in settings
    ]
    start = {
        "worker": str(script),
        "compatibilityDate": COMPATIBILITY_DATE,
        "workers": described,
    }
    started = _driver().call(start=start)
    try:
        yield [Running(url) for url in started["urls"]]
    finally:
        _driver().call(stop=started["group"])


def miniflare() -> Path:
    """Return the `node_modules` with miniflare and workerd; made at the first call."""

    def install(folder: Path) -> None:
        provision.npm_install([f"miniflare@{MINIFLARE_VERSION}"], folder)

    return provision.made(provision.CACHE / "miniflare" / MINIFLARE_VERSION, install) / (
        "node_modules"
    )


@cache
def _driver() -> Driver:
    driver = Driver(_SCRIPT, str(miniflare()))
    atexit.register(driver.close)
    return driver
