"""Values: a mirror, a project page and its files, a verdict; and the rules for URLs and text."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .addresses import check_cdn, check_origin
    from .cdn import CDN, CDNOutcome
    from .mirror import Credentials, Mirror
    from .outcome import Finding, Outcome
    from .page import File, ProjectPage
    from .reason import Reason, Support
    from .text import is_http_token, is_project_name, normalize, printable
    from .urls import (
        PLACEHOLDER,
        HostKind,
        address_of,
        check_index_url,
        hide_user_info,
        host_kind,
        origin,
        project_url,
        split_http_url,
    )

__getattr__, __dir__, __all__ = hand_on(__name__)
