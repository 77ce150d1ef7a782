"""Find a package index that works from this browser, and let micropip install through it.

>>> import pyodide_mirror
>>> await pyodide_mirror.install("textual")  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .api import cache_info as cache_info
    from .api import clear_cache as clear_cache
    from .api import configure as configure
    from .api import freeze as freeze
    from .api import install as install
    from .api import install_pylock as install_pylock
    from .api import probe as probe
    from .api import reset as reset
    from .api import status as status
    from .cdns import CDNS as CDNS
    from .errors import DigestMismatch as DigestMismatch
    from .errors import IncompleteInstall as IncompleteInstall
    from .errors import MirrorError as MirrorError
    from .errors import NoUsableMirror as NoUsableMirror
    from .errors import ResolutionError as ResolutionError
    from .mirrors import MIRRORS as MIRRORS
    from .model import CDN as CDN
    from .model import CDNOutcome as CDNOutcome
    from .model import Mirror as Mirror
    from .model import Outcome as Outcome
    from .model import Reason as Reason
    from .model import Support as Support
    from .notebook import load_ipython_extension as load_ipython_extension
    from .notebook import unload_ipython_extension as unload_ipython_extension
    from .reporting import Event as Event
    from .reporting import Installed as Installed
    from .reporting import InstallReport as InstallReport
    from .reporting import Report as Report
    from .reporting import show_progress as show_progress

__version__ = "0.1.0.dev0"

__getattr__, __dir__, __all__ = hand_on(__name__)
