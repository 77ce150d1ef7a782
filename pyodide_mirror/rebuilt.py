"""Wheels of pure packages that are installed here."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

from .own_wheels import pure_wheel, wheel_name


def rebuilt_wheel(project: str) -> tuple[str, bytes]:
    """Name and content of a wheel of a package, whose name has a build tag made of its content.

    ValueError says that it is not installed, or not whole.
    """
    installed, contents = None, dict[str, bytes]()
    try:
        installed = distribution(project)
        # What an installer adds stays here, and so does what is outside of site-packages.
        contents = {
            path.as_posix(): path.read_binary()
            for path in installed.files or ()
            if _belongs(path.parts, project)
        }
    except (PackageNotFoundError, FileNotFoundError):
        contents.clear()  # told below, with what to do
    info = next((name.split("/")[0] for name in contents if name.endswith("/METADATA")), "")
    if installed is None or not info or f"{project}/__init__.py" not in contents:
        raise ValueError(
            f"it is {'not' if installed is None else 'only in part'} installed here:"
            f" pip install --force-reinstall {project}."
        )
    content = pure_wheel(info, contents)
    return wheel_name(f"{project}-{installed.version}", content), content


def _belongs(parts: tuple[str, ...], project: str) -> bool:
    if parts[0].endswith(".dist-info"):
        return parts[1] in {"METADATA", "licenses"} or parts[1].startswith("LICENSE")
    return parts[0] == project and "__pycache__" not in parts
