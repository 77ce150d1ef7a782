"""The programs that the documents' shell blocks call, as far as they can run without a network.

    python -m tests.docs.programs PROGRAM ARGUMENTS

`stand_ins` writes one for each into a folder that comes first in PATH. They are the real programs,
with five differences: a server gets a free port and is ended as soon as it serves; nox only has to
know the sessions; JupyterLite's sites lack the code of its apps; lock files are made with the
Pyodide of the tests; htpasswd asks for no password.
"""

import ast
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.processes import OWN_GROUP, end_group

# Each call is a process of its own: what only one of them needs is imported there.
_ROOT = Path(__file__).parents[2]
ANSWERS = "DOCUMENTS_PIP_ANSWERS"
"""The environment variable with the folder of what `pip install` has answered before."""
_SERVES = re.compile(r"(?P<before>.*https?://[^/\s]+?)(?P<port>:\d+)?(?P<after>[/\s].*)", re.DOTALL)


def stand_ins(folder: Path) -> None:
    """Write the programs into a folder."""
    folder.mkdir()
    for name in PROGRAMS:
        command = shlex.join([sys.executable, "-m", "tests.docs.programs", name])
        program = folder / name
        program.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(_ROOT))} exec {command} "$@"\n')
        program.chmod(0o755)


def _python(arguments: Sequence[str]) -> int:
    if arguments[:2] == ["-m", "http.server"]:
        return _http_server(arguments[2:])
    # The project itself is installed; its tests are not, for the reader of a document.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([sys.executable, *arguments], check=False, env=environment).returncode


def _http_server(arguments: Sequence[str]) -> int:
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", *arguments]
    port = next((argument for argument in arguments if argument.isdigit()), "8000")
    command = [argument for argument in command if argument != port]
    return _until_it_serves(command, "Serving HTTP on", port, ["0"])


def _pip(arguments: Sequence[str]) -> int:
    """Run pip; an extra that a project does not have is an error, of which pip only warns.

    The documents say `pip install 'pyodide-mirror[serve]'` many times, which is slow, installs
    nothing (PIP_DRY_RUN) and has the same answer each time: pip is asked once.
    """
    if arguments[:1] != ["install"]:
        code, output = _run_pip(arguments)
    else:
        name = hashlib.sha256(json.dumps(list(arguments)).encode()).hexdigest()
        answer = Path(os.environ[ANSWERS]) / name
        if not answer.exists():
            answer.write_text(json.dumps(_run_pip(arguments)), "utf-8")
        code, output = json.loads(answer.read_text("utf-8"))
    print(output)
    return code


def _run_pip(arguments: Sequence[str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    code = done.returncode or int("does not provide the extra" in done.stderr)
    return code, done.stdout + done.stderr


def _nox(arguments: Sequence[str]) -> int:
    """Fail for a session that the noxfile does not have; of the demo, write the folder."""
    tree = ast.parse((_ROOT / "noxfile.py").read_text("utf-8"))
    sessions = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any("nox.session" in ast.unparse(decorator) for decorator in node.decorator_list)
    }
    split = [*arguments, "--"].index("--")
    own, rest = arguments[:split], arguments[split + 1 :]
    if list(own) == ["-l"]:
        return 0
    option, *wanted = own or [""]
    if option != "-s" or not wanted or set(wanted) - sessions:
        return 1
    if wanted == ["demo"] and rest[:1] == ["--build"]:
        return subprocess.run([sys.executable, "-m", "demo", *rest], check=False).returncode
    return 0


def _pyodide_mirror(arguments: Sequence[str]) -> int:
    command = [sys.executable, "-m", "pyodide_mirror", *arguments]
    if arguments[:1] == ["lock"] or (arguments[:1] == ["bundle"] and "--check" not in arguments):
        from tests.support.lock_place import places

        command += places(Path.cwd())
        Path("cache", "pyodide").symlink_to(".")  # where a bundle's cache has it
    if arguments[:1] != ["serve"]:
        return subprocess.run(command, check=False).returncode
    if "--cache" not in arguments:
        command += ["--cache", "cache"]
    return _until_it_serves(command, "Serving ", "8080", ["--port", "0"])


def _uvicorn(arguments: Sequence[str]) -> int:
    command = [sys.executable, "-m", "uvicorn", *arguments]
    return _until_it_serves(command, "running on", "8000", ["--port", "0"])


def _until_it_serves(command: list[str], sign: str, port: str, free: list[str]) -> int:
    """Start a server on a free port, and end it when it says that it serves.

    ``port`` is the one that it would take, ``free`` how it is told to take any; what it says is
    printed with the former.
    """
    if "--port" in command:
        at = command.index("--port")
        port = command[at + 1]
        del command[at : at + 2]
    process = subprocess.Popen(
        [*command, *free],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        **OWN_GROUP,
    )
    try:
        for line in process.stdout or ():
            match = _SERVES.fullmatch(line)
            if sign in line and match:
                shown = f":{port}" if match["port"] else ""
                print(match["before"] + shown + match["after"], end="")
                return 0
            print(line, end="")
        return process.wait() or 1
    finally:
        end_group(process)
        if process.stdout is not None:
            process.stdout.close()


def _jupyter(arguments: Sequence[str]) -> int:
    if arguments[:1] != ["lite"]:
        print("only `jupyter lite` is here", file=sys.stderr)
        return 127
    from tests.jupyterlite import sites

    # What pip is told for the blocks is not meant for the making of JupyterLite's environment.
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        del os.environ[name]
    archive = {"JUPYTERLITE_APP_ARCHIVE": str(sites.small_archive())}
    done = sites.jupyter_lite(Path.cwd(), *arguments[1:], environ=archive)
    print(done.stdout)
    return done.returncode


def _htpasswd(arguments: Sequence[str]) -> int:
    """Write the file of one user that Apache's program writes, without asking for a password."""
    import bcrypt

    *options, file, user = arguments
    if options != ["-cB", "-C", "10"]:
        return 1
    hashed = bcrypt.hashpw(b"any", bcrypt.gensalt(10)).decode()
    Path(file).write_text(f"{user}:{hashed}\n")
    return 0


PROGRAMS: dict[str, Callable[[Sequence[str]], int]] = {
    "htpasswd": _htpasswd,
    "jupyter": _jupyter,
    "nox": _nox,
    "pip": _pip,
    "pyodide-mirror": _pyodide_mirror,
    "python": _python,
    "uvicorn": _uvicorn,
}


if __name__ == "__main__":
    sys.exit(PROGRAMS[sys.argv[1]](sys.argv[2:]))
