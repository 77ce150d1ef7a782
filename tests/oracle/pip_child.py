"""A program that runs pip many times: starting it takes most of pip's time.

Each line of its input is a list of arguments as JSON, each line of its output the status, the
standard output and the errors.
"""

import contextlib
import io
import json
import sys

from pip._internal.cli.main import main


def run(arguments: list[str]) -> tuple[int, str, str]:
    """Run pip once."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        status = main(arguments)
    return status, output.getvalue(), errors.getvalue()


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
