"""HTTP as the server speaks it: hosts, CORS, types of content, freshness, the kernel's copying."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .content_negotiation import MediaType, is_unchanged, qualities, requested
    from .cors import UPLOAD_PATHS, CORSMiddleware, error_response
    from .forwarded import TrustedProxies
    from .freshness import ASK_EVERY, PAGE_TTL, fresh_for, lifetime, wants_anew
    from .hosts import AllowedHosts, check_host
    from .zero_copy import ZERO_COPY, ShortFileError, ZeroCopy

__getattr__, __dir__, __all__ = hand_on(__name__)
