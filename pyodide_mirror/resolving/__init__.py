"""The choice of versions that fit together, where micropip's own choice does not."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .candidates import Candidate, Facts, Need, Source, facts_of, needs_of
    from .explain import differences
    from .resolution import (
        LIBRARY,
        VERSIONS,
        Problem,
        Resolver,
        given_up,
        library_in,
        loaded_library,
    )

__getattr__, __dir__, __all__ = hand_on(__name__)
