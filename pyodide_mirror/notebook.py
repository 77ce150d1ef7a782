"""pyodide_mirror in notebooks: configured by the first install, and looked at by ``%mirror``.

    %load_ext pyodide_mirror

A site's kernels do the same at their start, through :func:`activate`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import _session, reset, status
from .model import Mirror
from .probe import DEFAULT_CANARY
from .report import Report, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._micropip import Prefer

_ADVICE = "%mirror shows all mirrors"


def activate(
    *,
    mirrors: Iterable[str | Mirror | Mapping[str, Any]] | None = None,
    canary: str = DEFAULT_CANARY,
    prefer: Prefer = "lockfile",
    timeout: float = 5.0,
) -> None:
    """Let the first install that asks an index find a mirror, and say in a line which.

    ``mirrors``: index URLs, :class:`Mirror` values, or the arguments of one as a mapping. None and
    the other arguments mean what they mean to :func:`pyodide_mirror.configure`. No request is
    made. In IPython the line magic ``%mirror`` is there from then on.

    Raises TypeError or ValueError for bad arguments.
    """
    wanted = None if mirrors is None else [_mirror(each) for each in mirrors]
    _session.configure_later(
        wanted or None, canary=canary, timeout=timeout, prefer=prefer, on_configured=_tell
    )
    shell = _shell()
    if shell is not None:
        shell.register_magic_function(_magic, "line", "mirror")


def deactivate() -> None:
    """Leave micropip as it was, as :func:`pyodide_mirror.reset` does, and take ``%mirror`` away."""
    reset()
    shell = _shell()
    if shell is not None:
        shell.magics_manager.magics["line"].pop("mirror", None)


def summary(report: Report) -> str:
    """One line: the chosen mirror, and of each other one that has a verdict, why it was not it."""
    if report.chosen is None:
        return "pyodide_mirror: no mirror works from here"
    chosen, *others = report.outcomes
    how = f" ({' + '.join(chosen.repairs)})" if chosen.repairs else ""
    line = f"pyodide_mirror: installs through {chosen.mirror.name}{how}"
    why = ", ".join(f"{each.mirror.name} ({each.reason})" for each in others)
    return printable(f"{line}; not through {why}. {_ADVICE}" if why else f"{line}. {_ADVICE}")


def _tell(report: Report) -> None:
    print(summary(report))  # noqa: T201  # a notebook's user is to see it


def _mirror(given: str | Mirror | Mapping[str, Any]) -> str | Mirror:
    return given if isinstance(given, (str, Mirror)) else Mirror(**given)


def _magic(line: str) -> Report | None:
    """``%mirror`` shows the mirrors with their verdicts, the chosen one first."""
    if line.strip():
        raise ValueError("%mirror takes no arguments")
    report = status()
    if report is None:
        print(  # noqa: T201  # a notebook's user is to see it
            "pyodide_mirror: no mirror is chosen yet, the first install does that;"
            " await pyodide_mirror.probe() looks at all of them"
        )
    return report


def _shell() -> Any:
    """IPython's shell, if this is one; nothing is imported to find out."""
    module = sys.modules.get("IPython")
    return None if module is None else module.get_ipython()
