"""pyodide_mirror in notebooks: configured by the first install, and shown by ``%mirror``.

    %load_ext pyodide_mirror

A site's kernels do the same at their start, through ``kernel.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyodide_mirror.model import Mirror, printable
from pyodide_mirror.probing import DEFAULT_CANARY

from .ipython import add_magics, remove_magics

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyodide_mirror._micropip import Prefer
    from pyodide_mirror.api import Session
    from pyodide_mirror.reporting import Report

_ADVICE = "%mirror shows all mirrors"


def load_ipython_extension(_: object) -> None:
    """What ``%load_ext pyodide_mirror`` calls: the first install configures, and says how."""
    activate(_session())


def unload_ipython_extension(_: object) -> None:
    """What ``%unload_ext pyodide_mirror`` calls."""
    deactivate(_session())


def activate(  # noqa: PLR0913  # the settings of a site, each by its name
    session: Session,
    *,
    mirrors: Iterable[str | Mirror | Mapping[str, Any]] | None = None,
    cdns: list[str] | None = None,
    canary: str = DEFAULT_CANARY,
    prefer: Prefer = "lockfile",
    timeout: float = 5.0,
    remember: bool = True,
) -> None:
    """Let the first install that asks an index find a mirror, and say in a line which.

    ``mirrors``: index URLs, :class:`Mirror` values, or the arguments of one as a mapping. None and
    the other arguments mean what they mean to :func:`pyodide_mirror.configure`. No request is
    made. In IPython the line magic ``%mirror`` is there from then on.

    Raises TypeError or ValueError for bad arguments.
    """
    wanted = None if mirrors is None else [_mirror(each) for each in mirrors]
    session.configure_later(
        wanted or None,
        cdns=cdns,
        canary=canary,
        timeout=timeout,
        prefer=prefer,
        remember=remember,
        on_configured=_tell,
    )
    add_magics(show_mirrors)


def deactivate(session: Session) -> None:
    """Leave micropip as it was, as :func:`pyodide_mirror.reset` does, and take ``%mirror`` away."""
    session.reset()
    remove_magics()


def show_mirrors(line: str) -> Report | None:
    """``%mirror`` shows the mirrors with their verdicts, the chosen one first."""
    if line.strip():
        raise ValueError("%mirror takes no arguments")
    report = _session().status()
    if report is None:
        print(  # noqa: T201  # a notebook's user is to see it
            "pyodide_mirror: no mirror has been chosen yet: the first install that needs one does"
            " that; await pyodide_mirror.probe() tests all of them"
        )
    return report


def summary(report: Report) -> str:
    """One line: the chosen mirror, and why it was not each other one, if that was waited for."""
    if report.chosen is None:
        return "pyodide_mirror: no mirror works from here"
    chosen, *others = report.outcomes
    how = f" ({' + '.join(chosen.repairs)})" if chosen.repairs else ""
    line = f"pyodide_mirror: installs through {chosen.mirror.name}{how}"
    why = [f"{each.mirror.name} ({each.reason})" for each in others]
    rest = f"; not through {', '.join(why)}" if why else ""
    if report.pending:
        rest += f"; {len(report.pending)} not tested"
    return printable(f"{line}{rest}. {_ADVICE}")


def _session() -> Session:
    from pyodide_mirror.api import SESSION  # made when it is first needed

    return SESSION


def _tell(report: Report) -> None:
    print(summary(report))  # noqa: T201  # a notebook's user is to see it


def _mirror(given: str | Mirror | Mapping[str, Any]) -> str | Mirror:
    return given if isinstance(given, (str, Mirror)) else Mirror(**given)
