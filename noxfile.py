"""All that is done to this project by machine: ``nox -l`` lists it, ``nox`` runs the tests."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import nox

nox.needs_version = ">=2025.2"
nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "uv|virtualenv"  # the quicker one, where it is there
nox.options.sessions = ["tests"]

# Tests start hundreds of Pythons: each would compile all that it imports anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

PROJECT = nox.project.load_toml("pyproject.toml")
ENGINES = (
    "chromium",
    "chromium-worker",
    "firefox",
    "firefox-worker",
    "webkit",
    "webkit-worker",
    "node",
)
# One more than there are cores: for a third of its time a test waits for a browser or a server.
PROCESSES = str((os.cpu_count() or 1) + 1)
# What shares a browser, or a module's fixtures, stays in one process; see tests/conftest.py.
IN_PARALLEL = ("-n", PROCESSES, "--dist", "loadgroup", "--no-loadscope-reorder")
# The tests that `coverage` runs: not those of JavaScript, of the demonstration and of other hosts.
MEASURED = ("pure", "host", "abuse", "conformance", "edge", "zoo", "docs", "browser")


def install(session: nox.Session, *groups: str) -> None:
    """Install the project, editable, with its server and dependency groups."""
    session.install("-e", ".[serve]", *nox.project.dependency_groups(PROJECT, *groups), silent=True)


def at_once(session: nox.Session, *steps: Callable[[nox.Session], None]) -> None:
    """Take steps side by side; the first that fails is the error, once all have ended."""
    with ThreadPoolExecutor() as pool:
        for ended in [pool.submit(step, session) for step in steps]:
            ended.result()


def check(session: nox.Session) -> None:
    """Run the linters, the type checker and the contracts between the rooms."""
    session.run("ruff", "check", "--quiet")
    session.run("ruff", "format", "--check", "--quiet")
    session.run("lint-imports", "--no-logo", silent=True)
    session.run("python", "-m", "tests.support.javascript")
    session.run("python", "-m", "tests.support.labextension", "--check")
    types = session.run("python", "-m", "tests.support.provision", "--types", silent=True)
    session.run("mypy", "--no-error-summary", env={"MYPYPATH": str(types).strip()})


def documentation(session: nox.Session) -> None:
    """Build the documentation, all of it anew: a warning is an error, and is told only once."""
    session.run("sphinx-build", "-EWq", "-b", "html", "docs", "docs/_build/html")


def ground(session: nox.Session, *besides: Callable[[nox.Session], None]) -> None:
    """Make all be there that tests want; ``besides``: steps that need no more than Pyodide."""
    session.run("python", "-m", "tests.support.provision", silent=True)
    at_once(session, made, *besides)


def collected(session: nox.Session) -> None:
    """Have all tests compiled, which each of pytest's processes would do for itself."""
    session.run("pytest", "--collect-only", "-qq", "--engine=ci", silent=True)


def made(session: nox.Session) -> None:
    """Make what Pyodide compiles for our wheels, the front-end extension, and the browsers."""
    session.run("python", "-m", "tests.support.own_compiled", silent=True)
    session.run("python", "-m", "tests.support.labextension", silent=True)
    session.run("python", "-m", "tests.support.browsers", "--install")


@nox.session
def tests(session: nox.Session) -> None:
    """Run what CI runs: linters, types, the documentation, then all tests in three browsers."""
    install(session, "lint", "docs")
    at_once(session, check, documentation, lambda session: ground(session, collected))
    session.run("pytest", "-q", "--engine=ci", *IN_PARALLEL, *session.posargs)


@nox.session
def tests_all(session: nox.Session) -> None:
    """Run all tests in every engine and worker, as is done each night."""
    install(session, "test")
    ground(session)
    session.run("pytest", "-q", "--engine=all", *IN_PARALLEL, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Run the linters, the type checker and the contracts between the rooms."""
    install(session, "lint")
    check(session)


@nox.session
def tests_pure(session: nox.Session) -> None:
    """Run the pure tests in CPython."""
    install(session, "test")
    session.run("pytest", "-q", "tests/pure", *session.posargs)


@nox.session
def tests_host(session: nox.Session) -> None:
    """Run the tests of what lives in CPython."""
    install(session, "test")
    session.run("pytest", "-q", "tests/host", *IN_PARALLEL, *session.posargs)


@nox.session
@nox.parametrize("engine", ENGINES)
def tests_browser(session: nox.Session, engine: str) -> None:
    """Run the tests that need a real engine, in one."""
    install(session, "test")
    ground(session)
    session.run("pytest", "-q", "tests/browser", f"--engine={engine}", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure how much of the package the tests run, in CPython and in engines together.

    Arguments after ``--`` are the engines.
    """
    install(session, "test")
    ground(session)
    data = str((session.cache_dir / "coverage").resolve())
    env = {"COVERAGE_FILE": data, "COVERAGE_OF_PAGES": data}
    engines = ",".join(session.posargs or ("chromium", "firefox", "node"))
    folders = [f"tests/{folder}" for folder in MEASURED]
    arguments = ["-q", f"--engine={engines}", *IN_PARALLEL, *folders]
    session.run("coverage", "erase", env=env)
    session.run("coverage", "run", "-m", "pytest", *arguments, env=env)
    session.run("coverage", "combine", "-q", env=env)
    # Copies that tests make, and run from elsewhere, are not the package.
    session.run("coverage", "report", "--include=pyodide_mirror/*", env=env)


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demonstration; arguments after ``--`` are its own."""
    install(session, "test")
    if "--check" in session.posargs:
        ground(session)
    session.run("python", "-m", "demo", *session.posargs)


@nox.session
def screenshots(session: nox.Session) -> None:
    """Take pictures of the demonstration, for `docs` of JupyterLite's panel; light and dark.

    Of the demonstration in three engines, or those after ``--``, at two widths.
    """
    install(session, "test")
    ground(session)
    session.run("python", "-m", "tests.jupyterlite.pictures")
    session.run("python", "-m", "demo.screenshots", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure installs through us and through plain micropip, in turns."""
    install(session, "test")
    ground(session)
    session.run("python", "-m", "tests.benchmarks.installs", *session.posargs)


@nox.session
def bench_conflicts(session: nox.Session) -> None:
    """Measure an install that is resolved anew, and one without a conflict, in turns."""
    install(session, "test")
    ground(session)
    session.run("python", "-m", "tests.benchmarks.conflicts", *session.posargs)


@nox.session
def bench_startup(session: nox.Session) -> None:
    """Measure from a ready Pyodide to a package in use, through us and plain micropip."""
    install(session, "test")
    ground(session)
    session.run("python", "-m", "tests.benchmarks.startup", *session.posargs)


@nox.session
def bench_jupyterlite(session: nox.Session) -> None:
    """Measure how long a JupyterLite site takes to its first output, with us and without."""
    install(session, "test")
    ground(session)
    session.run("python", "-m", "tests.benchmarks.jupyterlite", *session.posargs)


@nox.session
def bench_server(session: nox.Session) -> None:
    """Load our server and its peers with 200 clients, in turns."""
    install(session, "test")
    session.run("python", "-m", "tests.benchmarks.server", *session.posargs)


@nox.session
def bench_warm(session: nox.Session) -> None:
    """Measure warm pages and files of our server, its peers and nginx, in turns; needs wrk."""
    install(session, "test")
    session.run("python", "-m", "tests.benchmarks.warm", *session.posargs)


@nox.session
def peers(session: nox.Session) -> None:
    """Run the table of HTTP checks against our mirrors and against other servers."""
    install(session, "test")
    session.run("python", "-m", "tests.conformance.peers", *session.posargs)


@nox.session
def features(session: nox.Session) -> None:
    """Look at what our server and other servers can do; ``-- --write`` renews the table."""
    install(session, "test")
    ground(session)
    session.run("python", "-m", "tests.conformance.features", *session.posargs)


@nox.session
def zoo(session: nox.Session) -> None:
    """Install through every animal of the zoo, by us and by plain micropip, side by side."""
    install(session, "test")
    ground(session)
    session.run("python", "-m", "tests.zoo.table", *session.posargs)


@nox.session
def corpus(session: nox.Session) -> None:
    """Install the most used packages of PyPI, by plain micropip, us and pip; wants PyPI."""
    install(session, "test")
    ground(session)
    session.run("python", "-m", "tests.corpus.run", *session.posargs)


@nox.session
def oracle(session: nox.Session) -> None:
    """Compare installs from small worlds with pip, uv and plain micropip; ``-- --worlds 2000``."""
    install(session, "test")
    session.run("python", "-m", "tests.oracle", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build; a warning is an error."""
    install(session, "docs")
    documentation(session)


@nox.session
def wheels(session: nox.Session) -> None:
    """Build all that is published, into dist: the wheel and the sdist, and the wheels for pages."""
    install(session, "test")
    ground(session)
    session.run("python", "-m", "hatchling", "build", "-d", "dist", silent=True)
    session.run("python", "-m", "pyodide_mirror.own_wheels", "dist")
    session.run("python", "-m", "pyodide_mirror.own_wheels", "dist", "--python", "cp314")


@nox.session
def labextension(session: nox.Session) -> None:
    """Build the front-end extension for JupyterLite into the package, from ``labextension/``."""
    install(session, "test")
    session.run("python", "-m", "tests.support.labextension")


@nox.session
def recheck_mirrors(session: nox.Session) -> None:
    """Check the built-in table of mirrors again, and date it anew; wants an open network."""
    install(session, "lint")
    # 1: some verdicts are for a person to look at.
    script = ("python", "-m", "tools.recheck_mirrors")
    session.run(*script, *session.posargs, success_codes=[0, 1])
    session.run("ruff", "format", "--quiet", "pyodide_mirror/mirrors.py")
    session.run("python", "-m", "tests.docs.tables")


@nox.session
def core_digests(session: nox.Session) -> None:
    """Add the newest versions of Pyodide to the table of its core files; wants npm."""
    install(session, "test")
    session.run("python", "-m", "tools.core_digests", *session.posargs)
