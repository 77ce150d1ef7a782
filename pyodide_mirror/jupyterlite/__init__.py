"""The add-on for ``jupyter lite build``."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .addon import PyodideMirrorAddon

__getattr__, __dir__, __all__ = hand_on(__name__)
