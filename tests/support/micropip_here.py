"""Installs with Pyodide's micropip, by itself and through us, without a browser."""

import base64
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from pyodide_mirror.model import Mirror
from tests.support.fake_web import A, Web
from tests.support.processes import OWN_GROUP, end_conversation
from tests.support.provision import PYODIDE_VERSION, ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an install has done.

    ``installed``: names and versions, as METADATA has them. ``error``: class, text and notes.
    ``cause``: the whole traceback. ``reports``: what each install of ours says that it installed.
    """

    installed: list[tuple[str, str]]
    files: list[str]
    error: str
    cause: str
    events: list[list[str]] = field(default_factory=list)
    reports: list[list[dict[str, Any]]] = field(default_factory=list)

    @property
    def versions(self) -> dict[str, str]:
        """The installed versions by name."""
        return dict(self.installed)

    def told(self, kind: str) -> list[str]:
        """The texts of the events of a kind."""
        return [text for each, text in self.events if each == kind]


class Micropip:
    """The micropip of one Pyodide, in a process of its own, which takes one order at a time."""

    def __init__(self, version: str = PYODIDE_VERSION) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.micropip_child", version],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **OWN_GROUP,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        end_conversation(self._process)

    def install(
        self,
        web: Web,
        *wanted: str,
        mirrors: Sequence[Mirror] = (A,),
        plain: bool = False,
        **options: Any,
    ) -> Outcome:
        """Install what is wanted from the answers of this web, into an empty folder.

        ``plain``: by micropip alone. ``options``: those of the install.
        """
        return self.install_in_turn(web, [(list(wanted), options)], mirrors=mirrors, plain=plain)

    def install_in_turn(
        self,
        web: Web,
        installs: Sequence[tuple[list[str], Mapping[str, Any]]],
        *,
        mirrors: Sequence[Mirror] = (A,),
        plain: bool = False,
    ) -> Outcome:
        """Install several times into one folder; the first error ends it."""
        order = {
            "answers": {
                url: [answer.status, dict(answer.headers), base64.b64encode(answer.body).decode()]
                for url, answer in web.answers.items()
            },
            "installs": installs,
            "mirrors": [mirror.index_url for mirror in mirrors],
            "plain": plain,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return Outcome(**json.loads(self._process.stdout.readline()))
