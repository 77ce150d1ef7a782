"""What Pyodide runs under Node for a lock file: it installs, and locks what it has installed.

``driver.mjs`` calls :func:`main`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyodide_mirror import Event

_TOOLS = "/tools"
"""Where the host has put what it has itself: a writer of TOML, and the wheel of a resolver."""
_RESOLVER = Path(_TOOLS, "resolver.whl")


async def main(task: str, send: Callable[[str], None]) -> str:
    """The text of the lock file; or what Node takes for an error, as JSON.

    ``task``: JSON with the arguments of an install. ``send``: takes events, as JSON.
    """
    try:
        return json.dumps({"lock": await _lock(json.loads(task), send)})
    except Exception as error:  # noqa: BLE001  # the host tells it
        from pyodide_mirror import MirrorError

        known = isinstance(error, (MirrorError, ValueError, OSError))
        return json.dumps({"error": str(error) if known else f"{type(error).__name__}: {error}"})


async def _lock(task: dict[str, Any], send: Callable[[str], None]) -> str:
    import pyodide_mirror

    _load_resolver()
    cdns = task.pop("cdns")
    mirrors = task.pop("mirrors")
    told = [0.0]

    def tell(event: Event) -> None:
        now = time.monotonic()
        if event.kind != "progress" or now > told[0] + 1:
            told[0] = now
            send(json.dumps({"kind": event.kind, "text": event.text}))

    report = await pyodide_mirror.install(
        task.pop("requirements"),
        mirrors=[pyodide_mirror.Mirror(**each) for each in mirrors] if mirrors else None,
        cdns=[pyodide_mirror.CDN(**each) for each in cdns] if cdns else None,
        remember=False,
        cache=False,
        on_event=tell,
        **task,
    )
    sys.path.append(_TOOLS)
    return report.to_pylock()


def _load_resolver() -> None:
    from pyodide_mirror.resolving import library_in

    library_in(_RESOLVER.read_bytes())
