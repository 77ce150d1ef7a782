"""The IPython extension, and what a kernel runs at its start."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .extension import (
        activate,
        deactivate,
        load_ipython_extension,
        show_mirrors,
        unload_ipython_extension,
    )
    from .kernel import prepare
    from .pip_magic import pip
    from .startup import prepare_page

__getattr__, __dir__, __all__ = hand_on(__name__)
