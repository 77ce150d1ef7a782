"""micropip's reading of core metadata, by the standards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyodide_mirror.index import metadata_fields
from pyodide_mirror.model import normalize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def strict_metadata(own: Any, unknown_extra: Callable[[str, str], None]) -> Any:
    """The class to put in the place of micropip's ``Metadata``, which is ``own``.

    micropip looks for requirements in every line of METADATA, those of the description included,
    and for extras by the very letters that were asked for. This one reads the headers only, and
    compares extras normalized (PEP 685). ``unknown_extra`` is called with the name and version of
    a distribution and an extra that it does not have, as pip and uv warn of one; micropip fails.
    """

    class Metadata(own):  # type: ignore[misc]  # micropip has no types
        def __init__(self, metadata: Any) -> None:
            data = metadata if isinstance(metadata, bytes) else metadata.read_bytes()
            fields = metadata_fields(data)
            known = dict(reversed(fields))  # of two the first counts
            self._distribution = f"{known.get('name', '?')} {known.get('version', '?')}"
            lines = [f"Requires-Dist: {value}" for name, value in fields if name == "requires-dist"]
            lines += [
                f"Provides-Extra: {normalize(value)}"
                for name, value in fields
                if name == "provides-extra"
            ]
            try:
                super().__init__("\n".join(lines).encode())
            except ValueError as error:
                text = f"the metadata of {self._distribution} cannot be read: {error}"
                raise ValueError(text) from error

        def requires(self, extras: Iterable[str] = ()) -> Any:
            names = {normalize(extra): extra for extra in extras}
            for name, extra in names.items():
                if name not in self.deps:
                    unknown_extra(self._distribution, extra)
            return super().requires([name for name in names if name in self.deps])

    return Metadata
