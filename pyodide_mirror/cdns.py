"""The table of known CDNs.

What projects' code, issue threads and change logs of 2021 to 2026 say of them; none was asked when
this was written, which is why the package probes. Copies of Pyodide's core alone, as npm's package
is one, are not in it: they have no packages to load.
"""

from __future__ import annotations

from typing import Final

from pyodide_mirror.model import CDN

CDNS_AS_OF: Final = "2026-11-26"
CDNS: Final[tuple[CDN, ...]] = (
    CDN(
        "https://cdn.jsdelivr.net/pyodide/v{version}/full/",
        name="jsDelivr",
        region="worldwide",
        note="Pyodide's own",
    ),
    CDN(
        "https://fastly.jsdelivr.net/pyodide/v{version}/full/",
        name="jsDelivr (Fastly)",
        region="worldwide",
        note="named in pyodide #2687; all files seen by one project",
    ),
    CDN(
        "https://gcore.jsdelivr.net/pyodide/v{version}/full/",
        name="jsDelivr (Gcore)",
        region="worldwide",
        note="all files seen by one project; one file failed five times of five in another",
    ),
    CDN(
        "https://testingcf.jsdelivr.net/pyodide/v{version}/full/",
        name="jsDelivr (Cloudflare)",
        region="worldwide",
        note="in the lists of several projects",
    ),
    CDN(
        "https://cdn.jsdmirror.com/pyodide/v{version}/full/",
        name="JSDMirror",
        region="China",
        note="a proxy of jsDelivr since 2025-09; used with digests by one project",
    ),
)
