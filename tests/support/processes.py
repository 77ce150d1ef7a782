"""Start programs, and end what was started with all that it started in turn."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

# For `Popen`: the process leads a group of its own, by which `end_group` finds its children. A
# browser is a dozen processes, and a driver that is killed leaves it behind.
OWN_GROUP: dict[str, Any] = {"start_new_session": True}

_GRACE = 5.0


def end_group(process: "subprocess.Popen[Any]") -> None:
    """End a process that was started with `OWN_GROUP`, and its group: asked first, then killed."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
        # The leader may have left others behind, one that hangs among them.
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end_conversation(process: "subprocess.Popen[str]") -> None:
    """End a process and its group, and close the pipes to its input and from its output."""
    end_group(process)
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


def run_quietly(
    command: list[str], *, env: dict[str, str] | None = None, folder: Path | None = None
) -> str:
    """Run a command to its end, and return its output; RuntimeError shows it when it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        message = f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout}"
        raise RuntimeError(message)
    return done.stdout
