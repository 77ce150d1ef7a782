"""A package index for browsers, pip and uv, over a folder of wheels and over other indexes.

    uvicorn --factory 'pyodide_mirror.server:create_app'

Needs the extra ``pyodide-mirror[serve]``.
"""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .answers import html_page, project_list
    from .build import create_app
    from .cache import Disk
    from .running import run_server
    from .settings import (
        ACCESS_LOGS,
        DEFAULT_CACHE_SIZE,
        DEFAULT_TIMEOUT,
        DEFAULT_UPLOAD_LIMIT,
        METRICS,
        UPSTREAMS_VARIABLE,
        check_page_ttl,
        check_public_url,
    )
    from .web import PAGE_TTL, MediaType

__getattr__, __dir__, __all__ = hand_on(__name__)
