"""Starts all that the page needs: our wheel, Pyodide, real wheels, mirrors and a web server."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from demo.mirrors import serve_mirrors
from demo.server import serve_folder
from demo.site import Site
from tests.support import provision

# Pyodide has none of them. The first is the canary of the probes.
WHEELS = ("iniconfig", "pygal", "importlib-metadata<10", "textual")
TIMEOUT = 3.0
"""Seconds a mirror has for one request: long enough to see that the page waits for it."""


@contextmanager
def set_stage(port: int = 0, *, pyodide: Path | None = None) -> Iterator[str]:
    """Build, fetch and start everything; the value is the page's address.

    ``pyodide`` is a folder with Pyodide, if not the one that is published.
    Raises `tests.support.provision.ProvisionError` and, when the port is taken, OSError.
    """
    wheel, dist = provision.browser_wheel(), pyodide or provision.pyodide_dist()
    with ExitStack() as stack:
        urls = stack.enter_context(serve_mirrors(provision.real_wheels(WHEELS)))
        site = Site(
            wheel=(wheel.name, wheel.read_bytes()),
            homes=("pyodide/",),  # nothing but this machine is asked
            settings={
                "timeout": TIMEOUT,
                "mirrors": [{"name": name, "url": url} for name, url in urls.items()],
                "package": "pygal",
                "auto": True,
            },
        )
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        site.write(folder)
        (folder / "pyodide").symlink_to(dist, target_is_directory=True)
        yield stack.enter_context(serve_folder(folder, port))
