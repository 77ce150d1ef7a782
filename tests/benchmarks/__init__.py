"""Measurements beside plain micropip and beside other servers."""
