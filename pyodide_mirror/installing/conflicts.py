"""Whether what micropip has chosen fits together, before any of it is unpacked."""

from __future__ import annotations

from importlib.metadata import Distribution
from typing import TYPE_CHECKING

from pyodide_mirror._micropip import locked_version
from pyodide_mirror.index import metadata_fields
from pyodide_mirror.model import normalize

from .choices import ChoiceError
from .closure import Found, closure, root_want

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .choices import Choices
    from .closure import Closure, Want
    from .site_packages import InstalledDistribution


class Conflicts:
    """What was chosen for an install, and what it requires.

    ``known``: what was installed before.
    """

    def __init__(
        self,
        choices: Choices,
        requirements: list[str],
        known: Mapping[str, InstalledDistribution],
        *,
        deps: bool,
    ) -> None:
        self.choices = choices
        self.requirements = requirements
        self.known = known
        self._deps = deps

    def check(self) -> None:
        """ChoiceError when what was chosen in this try does not fit together."""
        chosen = self.choices.chosen()
        misfits = self.closure(chosen).misfits(chosen)
        if misfits:
            raise ChoiceError(misfits, f"not all requirements of {', '.join(misfits)} are met")

    def closure(self, chosen: Collection[str] | None = None) -> Closure:
        """The closure of the requirements in what was chosen, now or before, as far as known."""
        chosen = self.choices.files if chosen is None else chosen
        direct = {normalize(want.requirement.name) for want in self.roots() if want.wheel}

        def find(name: str) -> Found | None:
            if name in chosen:
                metadata = self.choices.metadata.get(name)
                return None if metadata is None else Found(metadata_fields(metadata))
            if name in direct:
                return None  # micropip reads it itself
            if name in self.known:
                return Found.of(Distribution.at(self.known[name].folder))
            version = locked_version(name)
            return Found([("version", version)], lenient=True) if version else None

        return closure(self.requirements, deps=self._deps, find=find)

    def roots(self) -> list[Want]:
        """What the user wants."""
        return [want for text in self.requirements if (want := root_want(text))]
