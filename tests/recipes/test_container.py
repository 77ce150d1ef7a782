"""The container file, built by Buildah, and what it starts.

Its base image, of a registry, is made here: the Python that runs the tests, under the same name.
"""

import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.recipes.company import RECIPES, WHEELS, fill, free_port
from tests.recipes.tools import BUILDAH, debian
from tests.support import provision
from tests.support.processes import OWN_GROUP, end_group, run_quietly
from tests.support.server_wire import get

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="only root may build without a daemon"
    ),
]
RECIPE = RECIPES / "Containerfile"
_BASE = """\
FROM scratch
COPY root /
ENV PATH=/python/bin:/usr/bin:/usr/sbin PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheelhouse
"""


def wheelhouse() -> Path:
    """A folder with our wheel and all that a server needs."""
    wheel = provision.project_wheel()

    def download(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        provision.run([*pip, "-d", str(folder), f"pyodide-mirror[serve] @ {wheel.as_uri()}"])

    return provision.made(wheel.parent.with_name(f"{wheel.parent.name}-served"), download)


class Buildah:
    """Buildah with storage of its own, which needs neither a daemon nor namespaces."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # What the base image would have: this machine's Python and libraries, to be read only.
        places = {"/usr": "/usr", sys.base_prefix: sys.base_prefix}
        places[str(wheelhouse())] = "/wheelhouse"
        self.mounts = [f"--volume={here}:{there}:ro" for here, there in places.items()]

    def command(self, *arguments: str) -> list[str]:
        storage = [f"--root={self.folder}/storage", f"--runroot={self.folder}/run"]
        return [str(debian(BUILDAH)), *storage, "--storage-driver=vfs", *arguments]

    def __call__(self, *arguments: str) -> str:
        environment = {**os.environ, "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(self.folder)}
        return run_quietly(self.command(*arguments), env=environment)

    def make_base(self, name: str) -> None:
        """Make the image that the recipe begins with."""
        root = self.folder / "root"
        for each in ("etc", "tmp", "home"):
            (root / each).mkdir(parents=True)
        for each in ("bin", "sbin", "lib", "lib64"):
            (root / each).symlink_to(f"usr/{each}")
        (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (root / "etc" / "group").write_text("root:x:0:\n")
        venv.create(root / "python", with_pip=True, symlinks=True)
        # A script's first line has the place where it was made.
        for script in (root / "python" / "bin").glob("pip*"):
            script.write_text(script.read_text().replace(f"{root}/", "/"))
        (self.folder / "Base").write_text(_BASE)
        self("build", "--tag", name, "--file", str(self.folder / "Base"), str(self.folder))


@contextmanager
def running(buildah: Buildah, image: str, wheels: Path, port: int) -> Iterator[list[str]]:
    """What the image starts, with its own command, at a port of this machine; yields its log."""
    config = json.loads(buildah("inspect", "--type", "image", image))["OCIv1"]["config"]
    assert config["User"] == "mirror"
    container = buildah("from", "--pull-never", image).strip().splitlines()[-1]
    # The last of each counts: the tests listen on this machine alone, and ask nobody.
    here = ["--host", "127.0.0.1", "--port", str(port), "--offline"]
    command = ["run", "--isolation=chroot", *buildah.mounts, f"--volume={wheels}:/wheels:ro"]
    with subprocess.Popen(
        buildah.command(*command, container, "--", *config["Cmd"], *here),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        **OWN_GROUP,
    ) as process:
        assert process.stdout is not None
        said: list[str] = []
        try:
            for line in process.stdout:
                said.append(line)
                if line.startswith("Serving "):
                    break
            yield said
        finally:
            end_group(process)


def test_the_image_is_built_and_serves(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    base = re.findall(r"^FROM (\S+)$", RECIPE.read_text(), re.MULTILINE)
    assert base == ["python:3.13-slim"]
    buildah = Buildah(tmp_path)
    buildah.make_base(base[0])
    try:
        options = ["--pull-never", "--isolation=chroot", *buildah.mounts]
        buildah(
            "build", *options, "--tag", "packages", "--file", str(RECIPE), str(tmp_path / "root")
        )
        port = free_port()
        with running(buildah, "packages", fill(tmp_path / "wheels"), port) as said:
            assert said[-1].startswith("Serving "), said
            [file] = get(f"http://127.0.0.1:{port}/simple/acme-tool/").document["files"]
            assert get(file["url"]).body == WHEELS[0].data
    finally:
        buildah("rm", "--all")
        buildah("rmi", "--all", "--force")
