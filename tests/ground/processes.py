"""End what was started, and all that it started in turn."""

import os
import signal
import subprocess
from contextlib import suppress
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
