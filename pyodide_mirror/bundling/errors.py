"""What is raised where a lock file cannot be made."""


class LockError(Exception):
    """A lock file cannot be made, or Pyodide under Node; the text says why, and what to do."""
