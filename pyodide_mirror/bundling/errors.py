"""The error of this room."""


class BundlingError(Exception):
    """What was asked for cannot be made; the text says why, and what to do."""
