"""Packages that exist, from PyPI through our server: by plain micropip, by us and by pip."""
