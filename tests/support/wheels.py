"""Tiny real distributions, made in memory, and the stock that every animal of the zoo sells.

The bytes are the same on every machine and in every run: fixed time stamps, nothing compressed.
"""

import base64
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

_MOMENT = (2020, 1, 1, 0, 0, 0)
_NOTHING: Mapping[str, str] = MappingProxyType({})
_NO_EXTRAS: Mapping[str, Iterable[str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdist:
    """A source distribution: listed on pages, of no use to micropip."""

    filename: str
    name: str
    version: str
    data: bytes
    requires_python: str | None = None

    @property
    def sha256(self) -> str:
        """The digest of the file, in lower case."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel(Sdist):
    """A wheel and, apart, the METADATA file inside it (what PEP 658 serves beside it)."""

    metadata: bytes

    @property
    def metadata_sha256(self) -> str:
        """The digest of the METADATA file, in lower case."""
        return hashlib.sha256(self.metadata).hexdigest()


def make_wheel(
    name: str,
    version: str,
    *,
    requires: Iterable[str] = (),
    requires_python: str | None = None,
    extras: Mapping[str, Iterable[str]] = _NO_EXTRAS,
    modules: Mapping[str, str] = _NOTHING,
    tag: str = "py3-none-any",
    padding: int = 0,
    metadata: bytes | None = None,
    info: str = "",
) -> Wheel:
    """Make a valid wheel of the project `name`.

    It holds one module, named as the project with underscores, with `__version__` and `VALUE`;
    `modules` adds others (path → source). `padding` adds so many bytes of data to the file.
    `metadata` is another METADATA than that of the other arguments, `info` another name of the
    ``.dist-info`` folder.
    """
    stem = name.replace("-", "_")
    info = info or f"{stem}-{version}.dist-info"
    if metadata is None:
        metadata = _metadata(name, version, requires, requires_python, extras)
    files = {
        f"{stem}.py": f'__version__ = "{version}"\nVALUE = "{name} {version}"\n'.encode(),
        **{path: source.encode() for path, source in modules.items()},
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": _wheel_file(tag),
    }
    if padding:
        files[f"{stem}_padding.bin"] = hashlib.shake_256(b"padding").digest(padding)
    record = f"{info}/RECORD"
    files[record] = _record(files, record)
    return Wheel(
        filename=f"{stem}-{version}-{tag}.whl",
        name=name,
        version=version,
        data=_zip(files),
        requires_python=requires_python,
        metadata=metadata,
    )


def make_sdist(name: str, version: str, *, requires_python: str | None = None) -> Sdist:
    """Make a source distribution that holds its PKG-INFO and nothing to build."""
    stem = f"{name.replace('-', '_')}-{version}"
    content = _metadata(name, version, (), requires_python, {})
    member = tarfile.TarInfo(f"{stem}/PKG-INFO")  # its time stamp is 0
    member.size = len(content)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member, io.BytesIO(content))
    return Sdist(
        filename=f"{stem}.tar.gz",
        name=name,
        version=version,
        data=gzip.compress(tar.getvalue(), compresslevel=0, mtime=0),
        requires_python=requires_python,
    )


def _metadata(
    name: str,
    version: str,
    requires: Iterable[str],
    requires_python: str | None,
    extras: Mapping[str, Iterable[str]],
) -> bytes:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Summary: an exhibit of the zoo, {name}"]
    lines += [f"Requires-Python: {requires_python}"] if requires_python else []
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    for extra, wanted in extras.items():
        lines.append(f"Provides-Extra: {extra}")
        lines += [f'Requires-Dist: {requirement} ; extra == "{extra}"' for requirement in wanted]
    return ("\n".join(lines) + "\n").encode()


def _wheel_file(tag: str) -> bytes:
    pure = str(tag.endswith("-none-any")).lower()
    python, abi, platforms = tag.split("-")
    tags = [f"Tag: {one}-{abi}-{p}" for one in python.split(".") for p in platforms.split(".")]
    head = ["Wheel-Version: 1.0", "Generator: zoo", f"Root-Is-Purelib: {pure}"]
    return ("\n".join([*head, *tags]) + "\n").encode()


def _record(files: Mapping[str, bytes], record: str) -> bytes:
    rows = [f"{path},{_record_digest(content)},{len(content)}" for path, content in files.items()]
    return ("\n".join([*rows, f"{record},,"]) + "\n").encode()


def _record_digest(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return f"sha256={digest.decode().rstrip('=')}"  # PEP 427: without the padding


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, content in files.items():
            member = zipfile.ZipInfo(path, _MOMENT)
            member.external_attr = 0o100644 << 16
            member.create_system = 3  # Unix, wherever this runs
            archive.writestr(member, content)
    return buffer.getvalue()


ROOT = "zoo-root"
CANARY = "zoo-canary"
_ROOT_NEEDS = ("zoo-dep-a", "zoo-dep-b>=1.0")

STOCK: Mapping[str, tuple[Sdist, ...]] = MappingProxyType(
    {
        ROOT: (
            make_wheel(ROOT, "0.9", requires=_ROOT_NEEDS, requires_python=">=3.8"),
            make_sdist(ROOT, "1.0", requires_python=">=3.8"),
            make_wheel(ROOT, "1.0", requires=_ROOT_NEEDS, requires_python=">=3.8"),
        ),
        "zoo-dep-a": (make_wheel("zoo-dep-a", "1.0"),),
        "zoo-dep-b": (make_wheel("zoo-dep-b", "1.0"),),
        # The smallest files are the ones that do not suit, so that a probe that looks at the
        # size alone takes the wrong one; the smallest that suits is not the newest either.
        CANARY: (
            make_sdist(CANARY, "1.0"),
            make_wheel(CANARY, "0.1", tag="py2-none-any", requires_python="<3"),
            make_wheel(CANARY, "0.8", requires_python="<3.8"),
            make_wheel(CANARY, "0.9", padding=300),
            make_wheel(CANARY, "1.0", padding=20_000),
            # A platform that was real and is no more: it suits no machine that runs the tests.
            make_wheel(CANARY, "1.0", tag="py3-none-win_ia64"),
        ),
    }
)
"""Every project of the zoo, in the order of its page."""

INSTALLED: Mapping[str, str] = MappingProxyType(
    {ROOT: "1.0", "zoo-dep-a": "1.0", "zoo-dep-b": "1.0"}
)
"""What a complete install of `zoo-root` puts in place: project → version."""

SMALLEST_THAT_SUITS = next(dist for dist in STOCK[CANARY] if dist.version == "0.9")
"""The file that a probe of the canary should fetch, on any Python from 3.8 on."""

FUTURE: Mapping[str, Wheel] = MappingProxyType({name: make_wheel(name, "9.0") for name in STOCK})
"""Version 9.0 of everything, without dependencies: for pages whose newest file is not for us."""

REBUILT: Mapping[str, Wheel] = MappingProxyType(
    {
        dist.filename: make_wheel(
            name,
            dist.version,
            requires=_ROOT_NEEDS if name == ROOT else (),
            modules={f"{name.replace('-', '_')}_rebuilt.py": "REBUILT = True\n"},
        )
        for name, dists in STOCK.items()
        for dist in dists
        if isinstance(dist, Wheel) and dist.filename.endswith("-py3-none-any.whl")
    }
)
"""The same file names with other contents, as when a mirror builds wheels of its own."""
