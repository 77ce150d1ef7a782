"""Requirements files, as pip reads them."""

import pytest

from pyodide_mirror.index import Line, parse_requirements_file

TEXT = """\
# a comment \\
textual>=1 # why
  rich [jupyter] ; python_version < "4" # not in "3"

-r more.txt
-cconstraints.txt
--index-url=https://index.example/simple --pre
https://files.example/demo-1.0-py3-none-any.whl#sha256=00
named==1.0 \\
    --hash=sha256:{0} \\
    # in between
other==1 --hash sha256:{1}  # behind
"""
FIRST, SECOND = "A1" * 32, "b2" * 32


def test_a_line_is_a_requirement_or_an_option():
    lines = parse_requirements_file(TEXT.format(FIRST, SECOND), "a.txt")
    assert [line._replace(where=line.where.removeprefix("a.txt, line ")) for line in lines] == [
        Line("2", "textual>=1"),
        Line("3", 'rich [jupyter] ; python_version < "4"'),
        Line("5", option="--requirement", value="more.txt"),
        Line("6", option="--constraint", value="constraints.txt"),
        Line("7", option="--index-url", value="https://index.example/simple"),
        Line("7", option="--pre"),
        Line("8", "https://files.example/demo-1.0-py3-none-any.whl#sha256=00"),
        Line("9", "named==1.0", (f"sha256:{FIRST.lower()}",)),
        Line("12", "other==1", (f"sha256:{SECOND}",)),
    ]


def test_variables_are_replaced_where_they_are_set():
    lines = parse_requirements_file("-i ${A}/${B}/${a}/$A", "a.txt", {"A": "x", "B": "", "a": "y"})
    assert [line.value for line in lines] == ["x/${B}/${a}/$A"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\n--quiet", "line 2: '--quiet' is no option"),
        ("-x", "'-x' is no option"),
        ("--pre=yes", "'--pre=yes' is no option"),
        ("-r", "--requirement has no value"),
        ("--index-url=", "--index-url has no value"),
        ("demo --pre", "--pre stands behind a requirement"),
        ("demo --hash=md5:00", "--hash=md5:00 is no digest"),
        ("demo --hash=sha256:", "--hash=sha256: is no digest"),
        (f"demo --hash=sha256:{'g' * 64}", "is no digest"),
        (f"--hash=sha256:{FIRST}", "--hash stands behind no requirement"),
        ("demo --config-settings=a=b", "is no option that can be honoured here"),
        ("-r 'more.txt", "No closing quotation"),
    ],
)
def test_what_cannot_be_honoured_is_refused(text: str, why: str):
    with pytest.raises(ValueError, match=r"^a\.txt, line \d+: ") as caught:
        parse_requirements_file(text, "a.txt")
    assert why in str(caught.value)
