"""pyodide_mirror in notebooks: configured by the first install, and looked at by ``%mirror``.

    %load_ext pyodide_mirror

A site's kernels do the same at their start, through ``kernel.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyodide_mirror

from .kernel import shell
from .model import Mirror
from .printing import printable
from .probing import DEFAULT_CANARY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._micropip import Prefer
    from .report import Report

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
    pyodide_mirror._session.configure_later(  # noqa: SLF001  # the one there is
        wanted or None, canary=canary, timeout=timeout, prefer=prefer, on_configured=_tell
    )
    found = shell()
    if found is not None:
        found.register_magic_function(show_mirrors, "line", "mirror")


def deactivate() -> None:
    """Leave micropip as it was, as :func:`pyodide_mirror.reset` does, and take ``%mirror`` away."""
    pyodide_mirror.reset()
    found = shell()
    if found is not None:
        found.magics_manager.magics["line"].pop("mirror", None)


def summary(report: Report) -> str:
    """One line: the chosen mirror, and why it was not each other one, if that was waited for."""
    if report.chosen is None:
        return "pyodide_mirror: no mirror works from here"
    chosen, *others = report.outcomes
    how = f" ({' + '.join(chosen.repairs)})" if chosen.repairs else ""
    line = f"pyodide_mirror: installs through {chosen.mirror.name}{how}"
    why = [f"{each.mirror.name} ({each.reason})" for each in others]
    if report.pending:
        why.append(f"{len(report.pending)} without a verdict by then")
    rest = f"; not through {', '.join(why)}" if why else ""
    return printable(f"{line}{rest}. {_ADVICE}")


def _tell(report: Report) -> None:
    print(summary(report))  # noqa: T201  # a notebook's user is to see it


def _mirror(given: str | Mirror | Mapping[str, Any]) -> str | Mirror:
    return given if isinstance(given, (str, Mirror)) else Mirror(**given)


def show_mirrors(line: str) -> Report | None:
    """``%mirror`` shows the mirrors with their verdicts, the chosen one first."""
    if line.strip():
        raise ValueError("%mirror takes no arguments")
    report = pyodide_mirror.status()
    if report is None:
        print(  # noqa: T201  # a notebook's user is to see it
            "pyodide_mirror: no mirror is chosen yet, the first install does that;"
            " await pyodide_mirror.probe() looks at all of them"
        )
    return report
