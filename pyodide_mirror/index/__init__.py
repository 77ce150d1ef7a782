"""The Simple API: project pages, requirements and wheels, without any I/O."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .files import FileCollector, digests
    from .page import parse_page, read_page
    from .pep691 import to_document, to_json
    from .protocol import (
        ACCEPT,
        JSON_TYPE,
        MAX_PAGE_BYTES,
        EmptyPageError,
        PageError,
        media_type,
        metadata_url,
    )
    from .requirements import applicable, requirement_name, requirements_of, specifier_of
    from .requirements_file import Line, parse_requirements_file
    from .selection import (
        SMALL_WHEEL,
        best_wheel,
        smallest_wheel,
        suits_this_python,
        wheels_by_version,
    )
    from .wheel_metadata import MAX_METADATA_BYTES, metadata_fields, metadata_of
    from .wheel_parts import PartsError, metadata_by_parts

__getattr__, __dir__, __all__ = hand_on(__name__)
