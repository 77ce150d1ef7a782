"""Small indexes on which micropip's first choice does not fit together, and what pip makes of them.

They are installed from in CPython and in pages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import distribution
from typing import Any

from pyodide_mirror.own_wheels import pure_wheel
from tests.support.wheels import Wheel, make_wheel

_LIBRARY = distribution("resolvelib")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """An index, what is installed from it, and what there is then.

    ``before``: what is installed before. ``options``: of the install. ``there``: versions by name.
    ``refused``: instead, a part of the error.
    """

    wheels: Sequence[Wheel]
    wanted: Sequence[str]
    before: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    there: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""


def needs(name: str, *requirements: str, version: str = "1.0") -> Wheel:
    """Make a wheel that needs these."""
    return make_wheel(name, version, requires=requirements)


def versions(name: str, *numbers: str) -> list[Wheel]:
    """Make wheels of a project that need nothing."""
    return [make_wheel(name, number) for number in numbers]


@cache
def resolver_wheel(version: str = "") -> Wheel:
    """The wheel of resolvelib, as it is installed; under another version, if one is given."""
    version = version or _LIBRARY.version
    info = f"resolvelib-{version}.dist-info"
    contents = {
        str(path): path.read_binary()
        for path in _LIBRARY.files or ()
        if path.parts[0] == "resolvelib" and path.suffix in {".py", ".typed"}
    }
    metadata = f"Metadata-Version: 2.1\nName: resolvelib\nVersion: {version}\n".encode()
    data = pure_wheel(info, {**contents, f"{info}/METADATA": metadata})
    return Wheel(
        filename=f"resolvelib-{version}-py3-none-any.whl",
        name="resolvelib",
        version=version,
        data=data,
        metadata=metadata,
    )


def aioboto3() -> list[Wheel]:
    """The shape of aioboto3: each release of a client wants its very release of the core."""
    made = [needs("zaio", "zaiocore==2.1", "zclient")]
    made += [needs("zaiocore", f"zcore>=1.{n},<1.{n + 1}", version=f"2.{n}") for n in range(1, 4)]
    made += [needs("zclient", f"zcore==1.{n}.*", version=f"1.{n}.5") for n in range(60)]
    made += versions("zcore", *(f"1.{n}.{m}" for n in range(60) for m in (0, 5)))
    return made


def diamond(levels: int = 5) -> list[Wheel]:
    """Two of each level need both of the next one; the oldest alone goes with the last."""
    made = [needs("ztop", "zl1-0", "zl1-1"), *versions("zend", "1.0", "2.0", "3.0")]
    for level in range(1, levels + 1):
        for side in (0, 1):
            for version in (1, 2, 3):
                below = [f"zl{level + 1}-{each}" for each in (0, 1)] if level < levels else []
                # At the bottom, one side takes all up to its version, the other what is below 2.
                below += [f"zend{'<=' if side else '<'}{version if side else 2}"] * (not below)
                made.append(needs(f"zl{level}-{side}", *below, version=f"{version}.0"))
    return made


def twenty() -> list[Wheel]:
    """Twenty that each want an older common one than they first seem to."""
    made = versions("zcommon", *(f"{n}.0" for n in range(1, 23)))
    for n in range(20):
        made.append(needs(f"zr{n}", "zcommon<3", version="1.0"))
        made.append(needs(f"zr{n}", f"zcommon=={n + 3}.0", version="2.0"))
    return made


CORES = versions("zcore", "1.0", "2.0")
TRANS = [needs("ztrans", "zcore<2"), needs("ztrans", "zcore>=2", version="2.0")]
CONFLICTS: Mapping[str, Conflict] = {
    "one goes back": Conflict(
        wheels=[needs("zroot", "zcore==1.0", "ztrans"), *TRANS, *CORES],
        wanted=["zroot"],
        there={"zroot": "1.0", "zcore": "1.0", "ztrans": "1.0"},
    ),
    "aioboto3": Conflict(
        wheels=aioboto3(),
        wanted=["zaio"],
        there={"zaio": "1.0", "zaiocore": "2.1", "zclient": "1.1.5", "zcore": "1.1.5"},
    ),
    "a diamond of five levels": Conflict(
        wheels=diamond(),
        wanted=["ztop"],
        there={
            "ztop": "1.0",
            "zend": "1.0",
            **{f"zl{level}-{side}": "3.0" for level in range(1, 6) for side in (0, 1)},
        },
    ),
    "twenty roots": Conflict(
        wheels=twenty(),
        wanted=[f"zr{n}" for n in range(20)],
        # pip gives up all of the newer ones but the first.
        there={"zcommon": "2.0", **{f"zr{n}": "1.0" for n in range(20)}},
    ),
    "an extra": Conflict(
        wheels=[
            make_wheel("zroot", "1.0", extras={"fast": ["zcore<2"]}),
            make_wheel("zroot", "2.0", extras={"fast": ["zcore<2"]}),
            needs("zuser", "zroot[fast]", "ztrans"),
            *TRANS,
            *CORES,
        ],
        wanted=["ztrans", "zuser"],
        there={"zroot": "2.0", "zuser": "1.0", "ztrans": "1.0", "zcore": "1.0"},
    ),
    "what is installed": Conflict(
        wheels=[*TRANS, *CORES],
        before=["zcore==1.0"],
        wanted=["ztrans"],
        there={"zcore": "1.0", "ztrans": "1.0"},
    ),
    "what is installed, with reinstall": Conflict(
        wheels=[*TRANS, *CORES],
        before=["zcore==1.0"],
        wanted=["ztrans"],
        options={"reinstall": True},
        there={"zcore": "2.0", "ztrans": "2.0"},
    ),
    "a constraint": Conflict(
        wheels=[*TRANS, *CORES],
        wanted=["ztrans"],
        options={"constraints": ["zcore<2"]},
        there={"zcore": "1.0", "ztrans": "1.0"},
    ),
    "nothing fits": Conflict(
        wheels=[needs("zroot", "zcore==1.0", "ztrans>=2"), *TRANS, *CORES],
        wanted=["zroot"],
        refused="zcore>=2 (required by ztrans 2.0, required by zroot 1.0)",
    ),
    "nothing fits what is installed": Conflict(
        wheels=[*TRANS, *CORES],
        before=["zcore==1.0"],
        wanted=["ztrans>=2"],
        there={"zcore": "1.0"},
        refused="there is 1.0, which is already installed",
    ),
}
