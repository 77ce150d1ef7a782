"""The add-on for ``jupyter lite build``: every kernel of a site installs through a working mirror.

JupyterLite finds it by its entry point. It puts wheels into the site's piplite index: ours; that of
``comm``, which each kernel would ask PyPI for when it starts; that of ``resolvelib``, which kernels
load where versions conflict; and one made for the site, whose only file configures us when a kernel
starts. All but these two are among the packages that Pyodide loads first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Final

from jupyterlite_core.addons.base import BaseAddon
from traitlets import Bool, Dict, Float, List, TraitError, Unicode, Union, default

from pyodide_mirror.api import check_canary, check_cdns, check_choice, check_timeout
from pyodide_mirror.model import Mirror
from pyodide_mirror.probing import DEFAULT_CANARY

from .site_bundle import bundled_lock
from .site_config import SiteConfig
from .site_extension import SiteExtension
from .site_index import SiteIndex
from .site_loader import LoaderSettings, SiteLoader
from .site_wheels import MADE, installed_wheel, own_wheel, site_wheel

if TYPE_CHECKING:
    Task = dict[str, Any]

_PIPLITE_ADDON: Final = "jupyterlite-pyodide-kernel-piplite"
_LOCK_ADDON: Final = "jupyterlite-pyodide-kernel-lock"
_FIELDS: Final = ("index_url", "name", "region", "private", "projects", "credentials", "note")
_KINDS: Final = {
    "enabled": "true or false",
    "locked": "true or false",
    "mirrors": "a list of index URLs, or of mappings with the arguments of pyodide_mirror.Mirror",
    "cdns": "a list of base URLs",
    "canary": "a project's name",
    "prefer": "'lockfile' or 'index'",
    "timeout": "a number of seconds",
    "loader": "true, false, or a folder with an unpacked release of Pyodide",
    "bundle": "a folder that `pyodide-mirror bundle` has written",
}

_FLAGS: Final[dict[str, tuple[dict[str, dict[str, object]], str]]] = {
    "no-pyodide-mirror": (
        {"PyodideMirrorAddon": {"enabled": False}},
        "Build the site as if pyodide-mirror was not installed.",
    ),
    "pyodide-mirror-locked": (
        {"PyodideMirrorAddon": {"locked": True}},
        "Do not let users of the site change the settings of pyodide-mirror.",
    ),
    "no-pyodide-mirror-loader": (
        {"PyodideMirrorAddon": {"loader": False}},
        "Have kernels load Pyodide as they do without pyodide-mirror.",
    ),
}


class Mirrors(List):
    """A list; a lone mirror is a list of one, as everywhere else in this package."""

    def validate(self, obj: Any, value: Any) -> Any:
        """The value as a list, or TraitError."""
        return super().validate(obj, [value] if isinstance(value, (str, Mapping)) else value)


class PyodideMirrorAddon(BaseAddon):
    """Has every Pyodide kernel of a JupyterLite site install through a mirror that works.

    Configured by these traits in ``jupyter_lite_config.json``, or on the command line of
    ``jupyter lite build``. A bad value, a missing ``comm`` and add-ons that this one cannot work
    with end the build with a sentence.
    """

    __all__: ClassVar[list[str]] = ["status", "pre_init", "build", "post_build", "check"]

    aliases: ClassVar[dict[str, str]] = {
        "pyodide-mirrors": "PyodideMirrorAddon.mirrors",
        "pyodide-mirror-cdns": "PyodideMirrorAddon.cdns",
        "pyodide-mirror-canary": "PyodideMirrorAddon.canary",
        "pyodide-mirror-prefer": "PyodideMirrorAddon.prefer",
        "pyodide-mirror-timeout": "PyodideMirrorAddon.timeout",
        "pyodide-mirror-loader": "PyodideMirrorAddon.loader",
        "pyodide-mirror-bundle": "PyodideMirrorAddon.bundle",
    }
    flags: ClassVar[dict[str, tuple[dict[str, dict[str, object]], str]]] = _FLAGS

    enabled = Bool(
        help="Whether the site's kernels get pyodide_mirror. env: JUPYTERLITE_NO_PYODIDE_MIRROR"
    ).tag(config=True)
    mirrors = Mirrors(
        Union([Dict(), Unicode()]),
        help="Index URLs in order of preference, or mappings with the arguments of"
        " pyodide_mirror.Mirror; those that pyodide_mirror knows when there are none."
        " env: JUPYTERLITE_PYODIDE_MIRRORS, separated by spaces or commas",
    ).tag(config=True)
    cdns = Mirrors(
        Unicode(),
        help="Base URLs of CDNs with Pyodide's own packages, in order of preference, in which"
        " {version} stands for Pyodide's version; when there are none, the place that the site has"
        " Pyodide from, then those that pyodide_mirror knows."
        " env: JUPYTERLITE_PYODIDE_MIRROR_CDNS, separated by spaces or commas",
    ).tag(config=True)
    canary = Unicode(DEFAULT_CANARY, help="The project that is looked up to test a mirror.").tag(
        config=True
    )
    prefer = Unicode(
        "lockfile",
        help="Where packages that Pyodide has come from: its own 'lockfile', or the 'index'.",
    ).tag(config=True)
    timeout = Float(5.0, help="The seconds in which a mirror must answer.").tag(config=True)
    locked = Bool(
        default_value=False,
        help="Whether users of the site cannot change these settings in their browsers.",
    ).tag(config=True)
    loader = Union(
        [Bool(), Unicode()],
        allow_none=True,
        help="Whether kernels load Pyodide itself from whichever CDN can be read. When it is not"
        " said: where the site takes Pyodide from a CDN, and its small files can be read now. Or a"
        " folder with an unpacked release, to take them from."
        " env: JUPYTERLITE_NO_PYODIDE_MIRROR_LOADER",
    ).tag(config=True)

    bundle = Unicode(
        help="A folder that `pyodide-mirror bundle` has written: kernels have Pyodide, its packages"
        " and all that they install from a copy in the site, and ask no other host."
    ).tag(config=True)

    _misfit = ""
    _has_loader = False
    """Whether this build has written the loader's folder."""

    def _load_config(self, *args: Any, **kwargs: Any) -> None:
        # JupyterLite goes on without an add-on that cannot be made; a site without mirrors that
        # its owner wanted is worse than no site, so the hooks say what is wrong. The error itself
        # may quote a password.
        try:
            super()._load_config(*args, **kwargs)
        except TraitError as error:
            found = re.search(rf"'({'|'.join(_KINDS)})' trait", str(error))
            name = found[1] if found else "one of the settings"
            kind = _KINDS.get(name, "of the kind that `jupyter lite build --help-all` says")
            self._misfit = f"{name} must be {kind}"

    @default("enabled")
    def _default_enabled(self) -> bool:
        return not os.environ.get("JUPYTERLITE_NO_PYODIDE_MIRROR")

    @default("mirrors")
    def _default_mirrors(self) -> list[str]:
        return [os.environ.get("JUPYTERLITE_PYODIDE_MIRRORS", "")]

    @default("cdns")
    def _default_cdns(self) -> list[str]:
        return [os.environ.get("JUPYTERLITE_PYODIDE_MIRROR_CDNS", "")]

    @default("loader")
    def _default_loader(self) -> bool | None:
        return False if os.environ.get("JUPYTERLITE_NO_PYODIDE_MIRROR_LOADER") else None

    def status(self, manager: Any) -> Iterator[Task]:
        """Print the settings that kernels get."""
        self._demand()
        yield self.task(name="settings", actions=[self._print_status])

    def pre_init(self, manager: Any) -> Iterator[Task]:
        """When switched off, undo what earlier builds did."""
        self._demand()
        if not self.enabled:
            yield self.task(name="clean", actions=[self._clean])

    def build(self, manager: Any) -> Iterator[Task]:
        """Put the wheels where piplite's add-on finds them, and take earlier ones away."""
        self._demand()
        if self.enabled:
            yield self.task(name="wheels", actions=[self._build])

    def post_build(self, manager: Any) -> Iterator[Task]:
        """Name the wheels that Pyodide loads first."""
        self._demand()
        if self.enabled:
            yield self.task(name="configure", actions=[self._post_build])

    def check(self, manager: Any) -> Iterator[Task]:
        """Check that the wheels that the site's kernels load are there."""
        self._demand()
        yield self.task(name="wheels", actions=[self._check_site])

    def _print_status(self) -> None:
        lines = ["    switched off"]
        if self.enabled:
            lines = [
                f"    {name + ':':16} {value or 'those that pyodide_mirror knows'}"
                for name, value in self._arguments().items()
            ]
            loads = "if Pyodide is on a CDN" if self.loader is None else self.loader
            lines.append(f"    {'loader:':16} {loads}")
        print("\n".join(lines))  # noqa: T201  # as JupyterLite's own add-ons do

    def _demand(self) -> None:
        """ValueError says what is wrong with the settings, and what to do.

        Each hook asks: JupyterLite can be told to go on after an error.
        """
        if not self.enabled:
            return
        if self._misfit:
            raise ValueError(f"PyodideMirrorAddon.{self._misfit}.")
        self._arguments()
        bundled_lock(self)
        _refuse_lock_addon(self.manager)
        _comm()

    def _arguments(self) -> dict[str, Any]:
        """The arguments of :func:`pyodide_mirror.notebook.prepare`; ValueError names the trait."""
        try:
            check_canary(self.canary)
            check_choice("prefer", self.prefer, ("lockfile", "index"))
            check_timeout(self.timeout)
            mirrors = [_literal(each) for each in _separated(self.mirrors)]
            cdns = check_cdns(list(map(str, _separated(self.cdns))) or None)
        except (TypeError, ValueError) as error:
            raise ValueError(f"PyodideMirrorAddon: {error}.") from None
        return {
            "mirrors": mirrors or None,
            "cdns": cdns and [cdn.base_url for cdn in cdns],
            "canary": self.canary,
            "prefer": self.prefer,
            "timeout": self.timeout,
            **({"locked": True} if self.locked else {}),
        }

    def _clean(self) -> None:
        SiteIndex(self).put({})
        SiteConfig(self).load_wheels(())
        SiteConfig(self).use_loader(wanted=False)
        SiteLoader(self).remove()
        SiteExtension(self).remove()

    def _build(self) -> None:
        if not SiteConfig(self).has_kernel():
            self.log.warning("[pyodide-mirror] this site has no Pyodide kernel: nothing to do")
            SiteIndex(self).put({})
            SiteLoader(self).remove()
            SiteExtension(self).remove()
            return
        if _PIPLITE_ADDON not in self.manager._addons:  # noqa: SLF001  # nothing else names them
            raise ValueError(
                f"PyodideMirrorAddon needs the add-on {_PIPLITE_ADDON}, which this build disables:"
                " take it from disable_addons, or build with --no-pyodide-mirror."
            )
        cdns = check_cdns(self._arguments()["cdns"]) or ()
        settings = LoaderSettings(self.loader, cdns, self.timeout, self.bundle)
        self._has_loader = SiteLoader(self).build(settings)
        wheels = self._loaded()
        for project, make in _NEEDED.items():
            # The site owner's own wheel of it will do, and is the one to stay.
            there = SiteIndex(self).folder.glob(f"{project}-*.whl")
            if all(MADE.fullmatch(path.name) for path in there):
                wheels |= make()
        SiteIndex(self).put(wheels)
        SiteExtension(self).put(self._arguments(), locked=self.locked)

    def _post_build(self) -> None:
        config = SiteConfig(self)
        config.load_wheels(self._loaded() if config.has_kernel() else ())
        if config.has_kernel():
            SiteExtension(self).translate()
        config.use_loader(wanted=self._has_loader, in_bundle=bool(self.bundle))

    def _check_site(self) -> None:
        config = SiteConfig(self)
        named = config.loaded_wheels()
        wanted = set(self._loaded()) if self.enabled and config.has_kernel() else set()
        missing = [name for name in named | wanted if not (SiteIndex(self).folder / name).is_file()]
        if missing or named != wanted:
            raise ValueError(
                "The site does not load pyodide_mirror as it is configured"
                f" ({', '.join(sorted(missing or named ^ wanted))}): build it again."
            )
        SiteLoader(self).check(wanted=self._has_loader)

    def _loaded(self) -> dict[str, bytes]:
        """The wheels that each kernel loads first, by their names."""
        arguments = self._arguments()
        if self._has_loader:
            arguments["cdns"] = None  # the loader names them, the one that has worked first
        return dict([own_wheel(self._python), site_wheel(_startup(arguments))])

    @cached_property
    def _python(self) -> str:
        """The tag of the kernels' Python; each hook of a build must have the same."""
        return SiteConfig(self).python(bundled_lock(self))


def _refuse_lock_addon(manager: Any) -> None:
    lock = manager._addons.get(_LOCK_ADDON)  # noqa: SLF001  # that add-on does so, too
    if getattr(lock, "enabled", False):
        raise ValueError(
            "PyodideMirrorAddon and PyodideLockAddon cannot both work on a site, because that"
            " one rewrites the list of packages that this one adds to: build without"
            " --pyodide-lock, or with --no-pyodide-mirror."
        )


def _separated(given: list[Any]) -> Iterator[str | Mapping[str, Any]]:
    for each in given:
        if isinstance(each, str):
            yield from filter(None, re.split(r"[\s,]+", each))
        else:
            yield each


def _literal(given: str | Mapping[str, Any]) -> str | dict[str, Any]:
    """A mirror as the start-up file has it; ValueError names ``mirrors``."""
    arguments = {"index_url": given} if isinstance(given, str) else dict(given)
    # Their values are not repeated: they may be passwords.
    if arguments.get("headers"):
        raise ValueError(
            "mirrors: everybody can read the headers of a mirror in a published site: leave them"
            " out, and let those who may use that index call pyodide_mirror.configure themselves"
        )
    if unknown := sorted(set(arguments) - set(_FIELDS)):
        raise ValueError(f"mirrors: a mirror has no {unknown[0]!r}, but {', '.join(_FIELDS)}")
    if "index_url" not in arguments:
        raise ValueError(
            "mirrors: a mapping needs an 'index_url', like https://mirror.example/simple"
        )
    try:
        mirror = Mirror(**arguments)
    except (TypeError, ValueError) as error:
        advice = "write it like https://mirror.example/simple" if "index URL" in str(error) else ""
        raise ValueError("; ".join(filter(None, [f"mirrors: {error}", advice]))) from None
    literal = {name: getattr(mirror, name) for name in _FIELDS if name in arguments}
    return mirror.index_url if literal.keys() == {"index_url"} else literal


def _startup(arguments: Mapping[str, Any]) -> str:
    """The program that IPython runs at each start of a kernel; it leaves no name behind."""
    lines = "".join(f"    {name}={value!a},\n" for name, value in arguments.items())
    return (
        "# Made by `jupyter lite build`: the settings of PyodideMirrorAddon.\n"
        "from pyodide_mirror import notebook as _pyodide_mirror\n\n"
        f"_pyodide_mirror.prepare(\n{lines})\n"
        "del _pyodide_mirror\n"
    )


def _comm() -> dict[str, bytes]:
    why = "because each kernel would ask PyPI for it when it starts"
    return dict([installed_wheel("comm", why=why)])


def _resolvelib() -> dict[str, bytes]:
    """What kernels load where the versions of packages conflict; a mirror has it, too."""
    if find_spec("resolvelib") is None:  # it is one of our requirements
        return {}
    return dict([installed_wheel("resolvelib", why="for conflicts")])


_NEEDED: Final = {"comm": _comm, "resolvelib": _resolvelib}
"""What makes the wheels that a site gets beside ours."""
