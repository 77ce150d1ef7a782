"""Firefox by WebDriver BiDi: there is no geckodriver here, and Firefox itself speaks BiDi.

Section names in the comments are those of the W3C's WebDriver BiDi.
"""

import itertools
import json
import re
import subprocess
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.support.browsers import is_short_lived
from tests.support.pages import LOOPBACK_NAMES
from tests.support.processes import OWN_GROUP, end_group

Json = dict[str, Any]

START_TIMEOUT = 60.0

# Firefox in a test talks to nobody but the test, and asks nobody anything.
_PREFERENCES: Json = {
    "app.update.disabledForTesting": True,
    "browser.aboutConfig.showWarning": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.security.https_first": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    # Otherwise no page may open a second one: a popup without a user's gesture.
    "dom.disable_open_during_load": False,
    "network.dns.localDomains": ",".join(LOOPBACK_NAMES),
    "remote.active-protocols": 1,  # BiDi alone
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}


class BidiError(RuntimeError):
    """The browser answered a command with an error."""


class Firefox:
    """A Firefox process and the one BiDi session with it; ends with `close`."""

    def __init__(self, executable: Path, flags: tuple[str, ...] = ()) -> None:
        """Start Firefox with a new profile and open a session. Raises `BidiError`."""
        self._ids = itertools.count(1)
        with ExitStack() as stack:
            profile = Path(
                # Helper processes may still be writing when the main one has ended.
                stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            )
            preferences = _PREFERENCES | {
                "javascript.options.wasm_optimizingjit": not is_short_lived()
            }
            lines = [
                f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in preferences.items()
            ]
            (profile / "user.js").write_text("\n".join(lines))
            self._address: Queue[str] = Queue()
            process = _start(executable, profile, flags)
            reader = threading.Thread(target=self._read, args=(process,), daemon=True)
            reader.start()
            stack.callback(reader.join)
            stack.callback(end_group, process)
            self._connection: ClientConnection = stack.enter_context(
                # No pings: they would draw from Python's common random numbers in a thread, which
                # hypothesis takes for a fault of whatever test runs then.
                connect(
                    f"{self._bidi_address()}/session",
                    max_size=None,
                    proxy=None,
                    ping_interval=None,
                )
            )
            capabilities = {"alwaysMatch": {"acceptInsecureCerts": True}}
            self.command("session.new", {"capabilities": capabilities}, START_TIMEOUT)
            self._closing = stack.pop_all()

    def close(self) -> None:
        """End the session and the process, and remove the profile."""
        self._closing.close()

    def command(self, method: str, params: Json, timeout: float) -> Json:
        """Send one command and return its result.

        Raises `BidiError` for an error response and `TimeoutError` when there is none within
        ``timeout`` seconds.
        """
        command_id = next(self._ids)
        self._connection.send(json.dumps({"id": command_id, "method": method, "params": params}))
        while True:
            message: Json = json.loads(self._connection.recv(timeout=timeout))
            # An answer to an earlier command that timed out may still come; events never do, as
            # we subscribe to none.
            if message.get("id") == command_id:
                break
        if message["type"] == "error":
            text = f"{method}: {message['error']}: {message['message']}"
            raise BidiError(text)
        result: Json = message["result"]
        return result

    def _read(self, process: subprocess.Popen[str]) -> None:
        """Read what Firefox says until its end, so that it never waits for a reader."""
        if process.stderr is None:
            raise TypeError
        with process.stderr as lines:
            for line in lines:
                if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", line):
                    self._address.put(found[1])

    def _bidi_address(self) -> str:
        try:
            return self._address.get(timeout=START_TIMEOUT)
        except Empty:
            message = f"Firefox did not offer WebDriver BiDi within {START_TIMEOUT:.0f} s"
            raise BidiError(message) from None


def _start(executable: Path, profile: Path, flags: tuple[str, ...]) -> subprocess.Popen[str]:
    options = ["--headless", "--no-remote", "--profile", str(profile)]
    return subprocess.Popen(
        [str(executable), *options, "--remote-debugging-port", "0", *flags],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **OWN_GROUP,
    )
