"""The connection to micropip: everything that reads or changes it."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .fetch import CURRENT_INSTALL, FetchPatch, InstallSource, ServedPage
    from .hook import PREPARED, RUN_INSTEAD, InstallHook, check_options
    from .index_urls import (
        PYPI_URL,
        IndexUrls,
        Prefer,
        current_index_urls,
        has_default_index_urls,
        tell_index_urls,
    )
    from .lockfile import (
        LockedPackage,
        default_constraints,
        hidden_from_lockfile,
        locked_entry,
        locked_packages,
        locked_version,
        provided_elsewhere,
        read_wheel,
        site_files,
        site_is_alone,
        uninstall,
        without_distribution,
    )
    from .messages import projects_named_in, says_it_conflicts, says_it_is_missing
    from .unpack import (
        PACKAGE_LOADER,
        UNPACK_OBSERVER,
        PackageLoader,
        UnpackedWheel,
        UnpackObserver,
        UnpackPatch,
        can_put_back,
        correct_loaded,
        loaded_packages,
    )

__getattr__, __dir__, __all__ = hand_on(__name__)
