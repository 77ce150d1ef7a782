"""What is raised where something cannot be made."""


class BundlingError(Exception):
    """A bundle cannot be written or used; the text says why, and what to do."""


class LockError(BundlingError):
    """A lock file cannot be made, or Pyodide under Node; the text says why, and what to do."""
