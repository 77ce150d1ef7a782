"""One install: as many tries as there are mirrors, complete or not at all."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from pyodide_mirror._micropip import (
    CURRENT_INSTALL,
    PACKAGE_LOADER,
    has_default_index_urls,
    hidden_from_lockfile,
    projects_named_in,
    provided_elsewhere,
    says_it_conflicts,
    says_it_is_missing,
    uninstall,
    without_distribution,
)
from pyodide_mirror.errors import IncompleteInstall
from pyodide_mirror.model import printable
from pyodide_mirror.reporting import Event

from .choices import ChoiceError, Conflicts
from .closure import Gap, closure
from .prefetch import Prefetcher
from .site_packages import all_dist_info_folders, installed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence

    from pyodide_mirror._micropip import PackageLoader
    from pyodide_mirror.reporting import Installed, Report

    from .choices import Plan
    from .closure import Closure
    from .failover import Failover
    from .ledger import Ledger, Ledgers
    from .request import InstallRequest
    from .site_packages import InstalledDistribution


class _UnfitError(Exception):
    """What micropip has chosen cannot be installed; ``error`` says so, if there is nothing else."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Installation:
    """Installs what was requested; nothing stays of an install that fails.

    ``call`` is micropip's own install, ``report`` says what is known of the mirrors, ``ledgers``
    has what the other installs put there meanwhile, ``packages`` loads those of Pyodide.
    """

    def __init__(
        self,
        failover: Failover,
        request: InstallRequest,
        call: Callable[..., Any],
        report: Callable[[], Report],
        ledgers: Ledgers,
        packages: PackageLoader | None = None,
    ) -> None:
        self._failover = failover
        self._pages = failover.pages
        self._faults = failover.faults
        self._request = request
        self._requirements = request.requirements
        self._options = request.options
        self._deps = bool(request.options.get("deps", True))
        self._events = request.events
        self._call = call
        self._report = report
        self._ledgers = ledgers
        self._packages = packages
        self._known: Mapping[str, InstalledDistribution] = {}
        self._choices = failover.choices
        self._unchecked = False
        self._told: set[InstalledDistribution] = set()

    async def run(self) -> tuple[Installed, ...]:
        """Install, and say what was added. Raises what micropip raises, or a MirrorError."""
        self._known = installed()
        token = CURRENT_INSTALL.set(self._failover)
        loading = PACKAGE_LOADER.set(self._packages)
        if self._deps:
            self._failover.prefetcher = _prefetcher(self._failover, self._requirements, self._known)
        try:
            return await self._run_till_it_fits()
        except BaseException as error:
            # micropip's own words name neither the mirrors nor what they said.
            for text in dict.fromkeys(self._events.problems()):
                if text not in str(error):
                    error.add_note(printable(text))
            raise
        finally:
            CURRENT_INSTALL.reset(token)
            PACKAGE_LOADER.reset(loading)
            self._failover.ended = True
            self._failover.stop()

    async def _run_till_it_fits(self) -> tuple[Installed, ...]:
        plan, error, anew = self._request.plan, None, self._request.newest is not None
        while True:
            if anew:
                from .anew import plan_anew  # few installs need it

                what = self._failover, self._request, self._conflicts, self._is_hidden
                plan = await plan_anew(*what, error)
            try:
                sources = self._failover.sources
                with self._ledgers.open(sources, self._faults, self._check) as ledger:
                    return await self._run(ledger, plan)
            except _UnfitError as unfit:
                if self._request.plan is not None:
                    raise unfit.error from None
                error, anew = unfit.error, True

    async def _run(self, ledger: Ledger, plan: Plan | None) -> tuple[Installed, ...]:
        """Install, and say what was added."""
        try:
            if plan is not None and plan.replaced:
                uninstall(list(plan.replaced))
            await self._install(self._requirements, lambda _: False, ledger, plan)
            found = await self._complete(ledger)
            self._check_versions(_misfits(found, ledger), plan)
            # Writing takes time; who gives up meanwhile has not been told of a success.
            await self._failover.save()
        except BaseException:
            self._failover.stop()
            for event in _undo(ledger):
                self._events.add(event)
            raise
        added = ledger.report()
        self._ledgers.keep(ledger, self._requirements, deps=self._deps)
        return added

    def _is_hidden(self, name: str) -> bool:
        """Whether a package of Pyodide's lock file must not be taken."""
        # A project that an index names as its own must not come from anywhere else.
        return self._pages.order.is_claimed(name) or name in self._lost()

    async def _install(
        self,
        requirements: Sequence[str],
        hide: Callable[[str], bool],
        ledger: Ledger,
        plan: Plan | None,
    ) -> None:
        files = {} if plan is None else plan.files

        def hidden(name: str) -> bool:
            return hide(name) or name in files or self._pages.order.is_claimed(name)

        options = self._options
        if plan is not None:
            requirements = plan.requirements
            options = {**options, "deps": False, "keep_going": False, "constraints": []}
        while True:
            self._choices.begin(plan)
            self._unchecked = plan is None and requirements is self._requirements
            try:
                with hidden_from_lockfile(hidden):
                    await self._call(list(requirements), options)
            except Exception as error:
                self._failover.stop()
                if self._faults.fatal is None and self._may_retry(error, plan):
                    continue
                fault = self._faults.error_for(self._conflicts.explained(error), self._report())
                if fault is error:
                    raise
                # Our own words, where micropip has put its guess at CORS in front of them.
                raise fault from (error.__cause__ or error)
            if self._faults.fatal is not None:
                # micropip takes a failed request for a missing project, and goes on elsewhere.
                raise self._faults.fatal
            self._tell_unpacked(ledger)
            return

    def _check(self) -> None:
        """ChoiceError when what is to be unpacked does not fit together."""
        if self._unchecked:
            self._conflicts.check()
            self._unchecked = False  # micropip has chosen all before it unpacks the first

    def _may_retry(self, error: Exception, plan: Plan | None) -> bool:
        """Whether micropip is to run again; _UnfitError where versions are to be resolved anew."""
        named = projects_named_in(error)
        if plan is None and (isinstance(error, ChoiceError) or says_it_conflicts(error)):
            raise _UnfitError(error) from error
        if self._pages.retry_without(self._faults.lost | named):
            if plan is None:
                return True
            raise _UnfitError(error) from error
        missing = plan is None and not self._faults.lost and says_it_is_missing(error)
        if missing and self._conflicts.is_known(named):
            raise _UnfitError(error) from error
        return False

    @functools.cached_property
    def _conflicts(self) -> Conflicts:
        return Conflicts(self._choices, self._requirements, self._known, deps=self._deps)

    def _check_versions(self, names: list[str], plan: Plan | None) -> None:
        """Refuse what is there but does not fit; _UnfitError if other versions may do."""
        if names:
            error = ChoiceError(names, f"what is installed does not fit: {', '.join(names)}")
            raise _UnfitError(error) if plan is None else self._conflicts.explained(error)

    def _tell_unpacked(self, ledger: Ledger) -> None:
        for item in ledger.distributions():
            if item not in self._told:
                self._told.add(item)
                self._events.add(Event("unpacked", f"{item.name} {item.version}"))

    async def _complete(self, ledger: Ledger) -> Closure:
        """The closure check: what is required and not there is installed by name."""
        tried: set[str] = set()
        while True:
            found = closure(self._requirements, deps=self._deps)
            gaps = found.gaps(without_distribution())
            gaps = (*gaps, *self._not_loaded({gap.name for gap in gaps}))
            if gaps and self._request.plan is not None:  # nothing else will do
                raise self._incomplete({gap.name for gap in gaps})
            new = [gap for gap in gaps if gap.name not in tried]
            if not new:
                return found
            strict = [gap for gap in new if not gap.lenient or gap.name in self._lost()]
            for gap in new:
                tried.add(gap.name)
                how = "left out by Pyodide's build"
                if gap.name in self._lost():
                    how = "Pyodide's build cannot be loaded, so an index is asked"
                elif gap in strict:
                    how = "was missing, installed now"
                wanted = f"required by {gap.wanted_by}" if gap.wanted_by else "requested"
                text = f"{gap.name}, {wanted}: {how}"
                self._events.add(Event("closure", text))
            if strict:
                await self._fill(strict, ledger)

    def _lost(self) -> Mapping[str, str]:
        """Why packages of Pyodide's lock file could not be loaded, by name."""
        return {} if self._packages is None else self._packages.faults

    def _not_loaded(self, known: Collection[str]) -> list[Gap]:
        """Packages that Pyodide's lock file wants, and that no CDN has, besides what is known.

        Raises IncompleteInstall for what no index can have instead, as shared libraries.
        """
        lost = sorted(self._lost().keys() - set(installed()))
        if without_distribution().intersection(lost):
            raise self._incomplete(lost)
        return [Gap(name, name, "", lenient=False) for name in lost if name not in known]

    def _incomplete(self, names: Collection[str]) -> IncompleteInstall:
        lost: dict[str, list[str]] = {}
        for name in sorted(self._lost().keys() & names):
            lost.setdefault(self._lost()[name], []).append(name)
        why = [f"{', '.join(each)} {text}" for text, each in lost.items()]
        return IncompleteInstall(sorted(names), self._report(), why)

    async def _fill(self, missing: list[Gap], ledger: Ledger) -> None:
        names = {gap.name for gap in missing}
        try:
            # What Pyodide's lock file could not deliver comes from the mirrors.
            wanted = [gap.requirement for gap in missing]
            await self._install(wanted, names.__contains__, ledger, None)
        except _UnfitError as unfit:
            if says_it_is_missing(unfit.error):
                unfit.error = self._incomplete(names)
            raise
        except Exception as error:
            raise self._incomplete(names) from error
        if lost := names - set(installed()):
            raise self._incomplete(lost)


def _prefetcher(
    failover: Failover,
    requirements: list[str],
    known: Container[str],
) -> Prefetcher:
    # micropip asks its lock file first while its index URLs are its default ones.
    elsewhere = provided_elsewhere(lockfile=has_default_index_urls())

    def is_there(name: str) -> bool:
        # Which mirrors there are may only be known later.
        return name in known or (not failover.pages.order.is_claimed(name) and elsewhere(name))

    return Prefetcher(requirements, is_there, failover.page_ahead, failover.wheel_ahead)


def _misfits(found: Closure, ledger: Ledger) -> list[str]:
    """Of what is new: what does not meet all requirements, and what is there twice."""
    folders = all_dist_info_folders()
    new = {item.name for item in ledger.distributions()}
    doubles = {name for name in new if len(folders[name]) > 1}
    return sorted({*doubles, *found.misfits(new), *found.unfit(new)})


def _undo(ledger: Ledger) -> Iterator[Event]:
    """Take away what an install has put there, and say so."""
    gone, back = ledger.undo()
    done = [f"uninstalled again: {', '.join(gone)}"] if gone else []
    done += [f"put back: {', '.join(back)}"] if back else []
    if done:
        yield Event("undone", "; ".join(done))
    left = [item.name for item in ledger.distributions()] if ledger.before is not None else []
    if left:
        text = "this version of micropip is not supported, so what it has unpacked stays: "
        yield Event("problem", text + ", ".join(left))
