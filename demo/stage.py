"""Starts all that the page needs: Pyodide, real wheels, mirrors, CDNs and a web server."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from demo.cdns import serve_cdns, write_lock
from demo.mirrors import read_wheels, serve_mirrors
from demo.server import serve_folder
from demo.site import Site
from pyodide_mirror.loader import LocalFolder
from tests.support import provision

# Pyodide has none of them. The first is the canary of the probes.
WHEELS = ("iniconfig", "pygal", "importlib-metadata<10", "textual")
LOCKED = "zipp"
"""What pygal needs, too, is in the demonstration's lock file, and so at a CDN and no mirror."""
TIMEOUT = 3.0
"""Seconds a mirror has for one request: long enough to see that the page waits for it."""


@contextmanager
def set_stage(port: int = 0, *, pyodide: Path | None = None) -> Iterator[str]:
    """Fetch and start everything; the value is the page's address.

    ``pyodide`` is a folder with Pyodide, if not the one that is published.
    Raises `tests.support.provision.ProvisionError` and, when the port is taken, OSError.
    """
    dist = pyodide or provision.pyodide_dist()
    stock = dict(read_wheels(provision.real_wheels(WHEELS)))
    [locked] = stock.pop(LOCKED)
    with ExitStack() as stack:
        urls = stack.enter_context(serve_mirrors(stock))
        cdns = stack.enter_context(serve_cdns(dist, locked))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_lock(dist, locked, scratch / "lock.json")
        site = Site(
            sources=[LocalFolder(dist), *cdns],  # nothing but this machine is asked
            lock=scratch / "lock.json",
            settings={
                "timeout": TIMEOUT,
                "mirrors": [{"name": name, "url": url} for name, url in urls.items()],
                "package": "pygal",
                "auto": True,
            },
        )
        site.write(scratch / "site")
        yield stack.enter_context(serve_folder(scratch / "site", port))
