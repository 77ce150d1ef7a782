"""Which wheel of a page is chosen, for a probe and for an install."""

import sys
import sysconfig

from pyodide_mirror.index import best_wheel, smallest_wheel, suits_this_python
from pyodide_mirror.model import File, ProjectPage


def page(*entries):
    files = tuple(
        File(filename=name, url=f"https://f.example/{name}", hashes={}, **fields)
        for name, fields in entries
    )
    return ProjectPage(name="demo", files=files)


def smallest(*entries):
    file = smallest_wheel(page(*entries))
    return file and file.filename


def best(*names, wants="", **fields):
    file = best_wheel(page(*((name, fields) for name in names)), wants)
    return file and file.filename


# --- the smallest one ---------------------------------------------------------------------------


def test_the_smallest_wheel_that_suits_is_chosen():
    chosen = smallest(
        ("demo-1.0.tar.gz", {"size": 1}),
        ("demo-1.0-py3-none-any.whl", {"size": 500}),
        ("demo-2.0-py2.py3-none-any.whl", {"size": 300}),
        ("demo-2.1-py2-none-any.whl", {"size": 10}),
        ("demo-2.2-cp38-cp38-win_amd64.whl", {"size": 20}),
        ("demo-3.0-py3-none-any.whl", {"size": 30, "requires_python": "<3"}),
        ("demo-3.1-py3-none-any.whl", {"size": 40, "yanked": True}),
        ("demo-3.2-py3-none-any.whl", {"size": 400, "requires_python": "nonsense"}),
        ("demo-nonsense.whl", {"size": 2}),
    )
    assert chosen == "demo-2.0-py2.py3-none-any.whl"


def test_without_sizes_the_last_one_is_chosen():
    chosen = smallest(("demo-1.0-py3-none-any.whl", {}), ("demo-2.0-py3-none-any.whl", {}))
    assert chosen == "demo-2.0-py3-none-any.whl"


def test_there_may_be_none():
    for names in ((), ("demo-1.0.tar.gz", "demo-1.0-cp38-cp38-win_amd64.whl")):
        assert smallest(*((name, {}) for name in names)) is None
        assert best(*names) is None


# --- the best one -------------------------------------------------------------------------------

OLD, NEW, PRE = (f"demo-{version}-py3-none-any.whl" for version in ("1.9", "1.10", "2.0rc1"))


def test_the_newest_wheel_is_the_best_wherever_it_stands():
    assert best(NEW, OLD, "demo-1.11.tar.gz", "demo-nonsense-py3-none-any.whl") == NEW


def test_a_pre_release_is_taken_only_where_one_is_wanted():
    assert best(OLD, PRE) == OLD
    assert best(OLD, PRE, wants=">=2.0rc1") == PRE
    assert best(PRE) is None


def test_what_is_not_wanted_yanked_or_for_another_python_is_passed_over():
    assert best(OLD, NEW, wants="<1.10") == OLD
    assert best(NEW, yanked=True) is None
    assert best(NEW, yanked="why") is None
    assert best(NEW, requires_python="<3") is None


def test_a_wheel_for_this_platform_is_taken_and_no_other():
    python, version = f"cp3{sys.version_info[1]}", sysconfig.get_config_var("PYODIDE_ABI_VERSION")
    pure = "demo-2.0-py3-none-any.whl"
    for platform in ("pyodide", "pyemscripten"):
        name = f"demo-2.0-{python}-{python}-{platform}_{version}_wasm32.whl"
        here = name if sys.platform == "emscripten" else None
        assert best(name) == smallest((name, {})) == here
        assert best(OLD, name, pure) == best(pure, name) == (here or pure)
        for other in (name.replace(python, "cp36"), name.replace(f"_{version}", "_1999_0")):
            assert best(other) is smallest((other, {})) is None
        assert best("demo-2.1-py3-none-any.whl", name) == "demo-2.1-py3-none-any.whl"


def test_the_newest_is_found_among_many_for_other_platforms():
    others = [f"demo-2.0-cp314-cp314-manylinux_2_{i}_x86_64.whl" for i in range(90)]
    assert best(OLD, NEW, *others) == NEW


# --- this Python --------------------------------------------------------------------------------


def test_which_requires_python_this_python_meets():
    for text in ("", ">=3.8", ">= 3.8", ">=3.8.0", "!=3.0.*", ">=3,<4", "nonsense"):
        assert suits_this_python(text), text
    for text in ("<3", ">=3.99", ">= 3.999", "==2.7.*", ">=4"):
        assert not suits_this_python(text), text
