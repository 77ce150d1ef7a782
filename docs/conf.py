"""Sphinx's configuration."""

import pyodide_mirror

project = "pyodide_mirror"
copyright = "2026, the pyodide_mirror developers"
version = release = pyodide_mirror.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
