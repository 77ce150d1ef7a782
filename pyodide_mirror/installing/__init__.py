"""One install through several mirrors, complete or not at all."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .choices import Plan, ServedFile
    from .closure import reached, root_want
    from .deferred import DeferredMirrors, LoadPage
    from .failover import Failover
    from .installation import Installation
    from .ledger import Ledgers
    from .mirror_client import MirrorClient, NoFileError, NoPageError
    from .mirror_order import NOWHERE, MirrorOrder, RankedMirror
    from .request import INSTALLERS, InstallRequest
    from .site_packages import InstalledDistribution, dist_info_folders, installed

__getattr__, __dir__, __all__ = hand_on(__name__)
