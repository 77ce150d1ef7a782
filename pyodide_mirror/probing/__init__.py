"""The checks of mirrors, their verdicts, and the race for the first that works."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .canary import DEFAULT_CANARY, Canary, ProbeDownloads
    from .checks import MAX_WHEEL_BYTES, opaque_failure, probe_mirror
    from .race import Check, Result, check_all, run_race
    from .verdict import (
        UNUSABLE,
        check_bytes,
        check_metadata,
        explain_failure,
        rank,
        refuse_file_url,
        refuse_mirror,
        refuse_url,
        tier,
    )

__getattr__, __dir__, __all__ = hand_on(__name__)
