"""What the page takes from its address, asked of its own module in Node."""

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from demo import site
from tests.support import provision

MODULE = Path(site.__file__).with_name("address.js")
PAGE = "https://page.example/tools/why/"
SCRIPT = f"""
const {{ readAddress, linkTo }} = await import({json.dumps(MODULE.as_uri())});
const read = (address) => readAddress(new URL(address));
const link = new URL(linkTo(new URL({json.dumps(PAGE)} + "?lang=es"), {{
    mirrors: ["https://a.example/simple", "https://b.example/x y"], package: "pygal", canary: "",
}}));
console.log(JSON.stringify([JSON.parse(process.argv[1]).map(read), link, read(link)]));
"""
GOOD = {"mirrors": [], "package": "", "canary": "", "timeout": 0, "lang": ""}
TAKEN = [
    (
        f"{PAGE}?lang=zh-CN#mirror=https://a.example/simple/",
        {
            "lang": "zh-CN",
            "mirrors": ["https://a.example/simple"],
        },
    ),
    (
        f"{PAGE}?mirror=https://a.example/s&mirror=http://10.0.0.1:8080/s&mirror=https://a.example/s",
        {
            "mirrors": ["https://a.example/s", "http://10.0.0.1:8080/s"],
        },
    ),
    (
        f"{PAGE}#package=acme-tool[extra]>=1.2,<2&canary=acme.tool&timeout=12.5",
        {
            "package": "acme-tool[extra]>=1.2,<2",
            "canary": "acme.tool",
            "timeout": 12.5,
        },
    ),
]
REFUSED = [
    (
        "mirror",
        "https://me:secret@a.example/simple",
        "fault.password",
        "https://***@a.example/simple",
    ),
    ("mirror", "https://secret@a.example/simple", "fault.password", "https://***@a.example/simple"),
    ("mirror", "a.example/simple", "fault.scheme", "a.example/simple"),
    ("mirror", "javascript:alert(1)", "fault.scheme", "javascript:alert(1)"),
    ("mirror", "https://", "fault.scheme", "https:"),
    ("mirror", "https://a.example/simple?token=1", "fault.query", None),
    ("mirror", "https://a.example/simple#x", "fault.query", None),
    ("mirror", "https://a.example/<b>", "fault.characters", None),
    ("mirror", "https://b\u00fccher.example/simple", "fault.characters", None),
    ("mirror", f"https://a.example/{'a' * 2048}", "fault.long", None),
    ("package", "https://a.example/x.whl", "fault.package", None),
    ("package", "acme @ https://a.example/x.whl", "fault.package", "***@ https://a.example/x.whl"),
    ("package", "emfs:/x.whl", "fault.package", None),
    ("package", "-r", "fault.package", None),
    ("canary", "a/../b", "fault.canary", None),
    ("timeout", "-1", "fault.timeout", None),
    ("timeout", "many", "fault.timeout", None),
    ("lang", "<script>", "fault.lang", None),
]


@pytest.fixture(scope="module")
def answers() -> list[Any]:
    addresses = [address for address, _ in TAKEN]
    addresses += [f"{PAGE}#{urlencode({what: value})}" for what, value, _, _ in REFUSED]
    many = [("mirror", f"https://{number}.example/simple") for number in range(22)]
    addresses.append(f"{PAGE}#{urlencode(many)}")
    done = subprocess.run(
        [str(provision.node()), "--input-type=module", "-e", SCRIPT, json.dumps(addresses)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: list[Any] = json.loads(done.stdout)
    return found


def test_what_is_fine_is_taken(answers: list[Any]) -> None:
    for (address, taken), answer in zip(TAKEN, answers[0], strict=False):
        assert answer == {**GOOD, **taken, "refused": []}, address


def test_what_is_not_is_refused_in_a_sentence(answers: list[Any]) -> None:
    found = answers[0][len(TAKEN) : -1]
    for (what, value, why, shown), answer in zip(REFUSED, found, strict=True):
        (refused,) = answer["refused"]
        assert answer == {**GOOD, "refused": [refused]}, value
        wanted = {"what": what, "value": value[:200] if shown is None else shown, "why": why}
        assert refused == {"key": "refused", "values": wanted}, value


def test_a_link_names_a_few_mirrors_only(answers: list[Any]) -> None:
    answer = answers[0][-1]
    assert len(answer["mirrors"]) == 20
    assert [one["values"]["why"] for one in answer["refused"]] == ["fault.many"] * 2


def test_a_link_is_read_as_it_was_made(answers: list[Any]) -> None:
    _, link, read = answers
    assert (urlsplit(link).path, urlsplit(link).query) == (urlsplit(PAGE).path, "")
    assert read["mirrors"] == ["https://a.example/simple"]
    assert read["package"] == "pygal"
    assert [one["values"]["why"] for one in read["refused"]] == ["fault.characters"]
