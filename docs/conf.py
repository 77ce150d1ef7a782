"""Sphinx's configuration."""

import pyodide_mirror

project = "pyodide_mirror"
copyright = "2026, the pyodide_mirror developers"
version = release = pyodide_mirror.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
# Anchors as GitHub makes them, for links into pages.
myst_heading_anchors = 3
html_theme = "furo"
html_title = "pyodide_mirror"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
