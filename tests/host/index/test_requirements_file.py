"""Requirements files are read as pip reads them."""

import os
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pip._internal.req import req_file

from pyodide_mirror.index import parse_requirements_file

_LAYOUT = (
    " ",
    "  ",
    "\t",
    "\\",
    "\\\n",
    "\n",
    "\n\n",
    "\u2028",
    " # why",
    "\n#no\\\n",
    "-",
    "=",
    "é",
)
_WORDS = ("demo", "demo==1.0", "a ; b", "-r", "-rx", "-c y", "--requirement=z", "-i ${A}", "--pre")
_MORE = ("--hash=sha256:" + "ab" * 32, "--hash", "'", '"q r"', "./x.whl", "${A}${B}", "#", "x#y")
PIECES = st.sampled_from([*_LAYOUT, *_WORDS, *_MORE])


def by_pip(text: str) -> set[tuple[str, ...]]:
    """What pip makes of it; IndexError or ValueError for what it refuses."""
    parse = req_file.get_line_parser(None)
    found: list[tuple[str, ...]] = []
    for _, line in req_file.preprocess(text):
        requirement, options = parse(line)
        if requirement:
            hashes = options.ensure_value("hashes", None) or {}
            found.append((requirement.strip(), *(f"{n}:{v}" for n in hashes for v in hashes[n])))
        else:
            found += [("-r", each) for each in options.requirements or ()]
            found += [("-c", each) for each in options.constraints or ()]
            found += [("-i", options.index_url)] if options.index_url else []
            found += [("--pre",)] if options.pre else []
    return set(found)


@settings(max_examples=300, deadline=None, derandomize=True)
@example("-i ${A}- -i ${A}")
@given(st.lists(PIECES, max_size=12).map("".join))
def test_what_pip_takes_is_the_same(text: str) -> None:
    names = {"--requirement": "-r", "--constraint": "-c", "--index-url": "-i"}
    with patch.dict(os.environ, {"A": "https://x.example"}):
        try:
            lines = parse_requirements_file(text, "a.txt", os.environ)
        except ValueError:
            return  # stricter than pip is what we may be
        ours = {
            (line.requirement, *line.hashes)
            if line.requirement
            else (names.get(line.option, line.option), *filter(None, [line.value]))
            for line in lines
        }
        assert ours == by_pip(text)
