"""What can be read in the text of micropip's errors."""

from __future__ import annotations

import re

from pyodide_mirror.model import normalize


def projects_named_in(error: Exception) -> set[str]:
    """Normalized names of the requirements that micropip quotes in an error.

    Its errors have no fields: ``Can't find a pure Python 3 wheel for 'demo>=2'.``
    """
    return {normalize(name) for name in re.findall(r"'([A-Za-z0-9][A-Za-z0-9._-]*)", str(error))}


def says_it_conflicts(error: Exception) -> bool:
    """Whether what is installed, or is going to be, does not meet a requirement."""
    return "is already installed" in str(error)


def says_it_is_missing(error: Exception) -> bool:
    """Whether it has found no wheel, or no page, of a project."""
    return str(error).startswith(("Can't find a pure Python 3 wheel", "Can't fetch metadata for"))
