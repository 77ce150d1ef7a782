"""Pages and files as they are sent."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .files import file_answer
    from .packed import Packer, can_be_packed
    from .pages import Rendered, Rendering, file_path, html_page, project_list

__getattr__, __dir__, __all__ = hand_on(__name__)
