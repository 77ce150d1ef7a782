"""Find a package index that works from this browser, and let micropip install through it."""

__version__ = "0.1.0.dev0"
