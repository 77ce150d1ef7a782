"""``python -m pyodide_mirror`` is the command ``pyodide-mirror``."""

import sys

from pyodide_mirror.cli import main

if __name__ == "__main__":
    sys.exit(main())
