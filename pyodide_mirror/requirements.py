"""Requirements (PEP 508) as far as they matter here, to installs and to what looks ahead."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.requirements import Requirement


def applicable(text: str, extras: Iterable[str]) -> Requirement | None:
    """The requirement, if its marker applies here with any of these extras; "" stands for none."""
    # Costs some 24 ms to import in a browser.
    from packaging.requirements import Requirement

    # What cannot be read cannot be installed either: micropip has refused it, or, if it is in a
    # distribution that was there before, has never looked at it. Markers of the user's own
    # making, or newer than this packaging, are a KeyError.
    with suppress(KeyError, ValueError):
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
            return requirement
    return None
