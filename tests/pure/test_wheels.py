"""The wheel that a probe reads."""

from pyodide_mirror.model import File, ProjectPage
from pyodide_mirror.wheels import smallest_suitable_wheel


def page(*entries):
    files = tuple(
        File(filename=name, url=f"https://f.example/{name}", hashes={}, **fields)
        for name, fields in entries
    )
    return ProjectPage(name="demo", files=files)


def chosen(*entries):
    file = smallest_suitable_wheel(page(*entries))
    return file and file.filename


def test_the_smallest_wheel_that_suits_is_chosen():
    assert (
        chosen(
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
        == "demo-2.0-py2.py3-none-any.whl"
    )


def test_without_sizes_the_last_one_is_chosen():
    assert (
        chosen(("demo-1.0-py3-none-any.whl", {}), ("demo-2.0-py3-none-any.whl", {}))
        == "demo-2.0-py3-none-any.whl"
    )


def test_there_may_be_none():
    assert chosen(("demo-1.0.tar.gz", {}), ("demo-1.0-cp38-cp38-win_amd64.whl", {})) is None
