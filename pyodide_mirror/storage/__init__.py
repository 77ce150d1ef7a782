"""What is remembered across page loads: cached files and pages, and the mirror that was chosen."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .cache import (
        MAX_BYTES,
        NO_CACHE,
        Cache,
        CacheBackendError,
        CachedPage,
        CacheInfo,
        MemoryBackend,
        Where,
    )
    from .choice import Choice, ChoiceStore, MemoryStore
    from .lru_index import Change, Content, LruIndex, byte_limit, max_entry_bytes

__getattr__, __dir__, __all__ = hand_on(__name__)
