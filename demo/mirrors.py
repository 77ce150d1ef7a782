"""The mirrors of the demonstration: a healthy one and five bad ones, all with real wheels."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from email.parser import BytesHeaderParser
from pathlib import Path
from types import MappingProxyType

from packaging.utils import canonicalize_name, parse_wheel_filename

from pyodide_mirror.index import metadata_of
from tests.support.wheels import Wheel
from tests.zoo.parts import Animal, Visit, cors, entry, not_found
from tests.zoo.zoo import ANIMALS, Response, Running

Stock = Mapping[str, tuple[Wheel, ...]]
"""Wheels by the normalized name of their project."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A mirror or CDN of the demonstration, and the verdict that is promised on it."""

    name: str
    """What the page calls it."""
    animal: str
    """What it behaves like: an animal of the zoo, or a kind of CDN."""
    reason: str


# The healthy one comes last, so that all the others are tried before it.
PROMISES = (
    Promise("No CORS", "no-cors", "cors"),
    Promise("HTML, no CORS", "html-no-cors", "cors"),
    Promise("Relative URLs", "relative-urls", "relative-urls"),
    Promise("Hanging", "hangs", "timeout"),
    Promise("Closed port", "closed-port", "unreachable"),
    Promise("Healthy", "healthy", "ok"),
)
CHOSEN = "Healthy"


def read_wheels(folder: Path) -> Stock:
    """Read all wheels of a folder."""
    stock: dict[str, tuple[Wheel, ...]] = {}
    for path in sorted(folder.glob("*.whl")):
        wheel = _read_wheel(path)
        stock[wheel.name] = (*stock.get(wheel.name, ()), wheel)
    return MappingProxyType(stock)


def _read_wheel(path: Path) -> Wheel:
    name, version, _, _ = parse_wheel_filename(path.name)
    metadata = metadata_of(path, path.name)
    return Wheel(
        filename=path.name,
        name=canonicalize_name(name),
        version=str(version),
        data=path.read_bytes(),
        requires_python=BytesHeaderParser().parsebytes(metadata)["Requires-Python"],
        metadata=metadata,
    )


@dataclass(frozen=True)
class Stocked(Animal):
    """An animal of the zoo with other stock, and otherwise as it was."""

    stock: Stock = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def like(cls, animal: Animal, stock: Stock) -> "Stocked":
        """Give an animal of the zoo this stock."""
        by_filename = {wheel.filename: wheel for wheels in stock.values() for wheel in wheels}
        kept = {one.name: getattr(animal, one.name) for one in fields(animal)}
        kept["shelf"] = lambda _visit, filename: by_filename.get(filename)
        return cls(**kept, stock=stock)

    def _page(self, visit: Visit) -> Response:
        if visit.project not in self.stock:
            return not_found()
        if not visit.request.path.endswith("/"):
            where = f"{visit.here}{visit.request.path}/"
            return cors(b"", "text/plain", 301).with_header("Location", where)
        wheels = self.stock[visit.project]
        document = {
            "meta": {"api-version": "1.1"},
            "name": visit.project,
            "versions": sorted({wheel.version for wheel in wheels}),
            "files": [entry(visit, wheel) for wheel in wheels],
        }
        return self.page(visit, self.render(visit, self.document(visit, document)))


@contextmanager
def serve_mirrors(stock: Stock) -> Iterator[Mapping[str, str]]:
    """Start the mirrors, each with these wheels: name → index URL."""
    with ExitStack() as stack:
        running = {
            promise.name: stack.enter_context(Running(Stocked.like(ANIMALS[promise.animal], stock)))
            for promise in PROMISES
        }
        yield {name: one.url for name, one in running.items()}
