"""The session behind the public functions: its arguments, its configuration and its host."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .arguments import (
        ENVIRONMENT_VARIABLE,
        check_canary,
        check_cdns,
        check_choice,
        check_mirrors,
        check_timeout,
    )
    from .choosing import choose, known_mirrors
    from .default import SESSION, cache_info, clear_cache, configure, install, probe, reset, status
    from .host import CPythonHost
    from .locks import freeze, install_pylock
    from .pip import pip_install, read_text
    from .session import Session

__getattr__, __dir__, __all__ = hand_on(__name__)
