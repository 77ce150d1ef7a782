"""The zoo behind the worker: what it can mend becomes a right page, what not a readable error."""

import json
from collections.abc import Mapping

import pytest

from pyodide_mirror.api import CPythonHost, Session
from pyodide_mirror.model import Mirror, Outcome
from pyodide_mirror.transport import PageFacts
from tests.edge.conftest import Answer, ask
from tests.support.wheels import CANARY
from tests.zoo.zoo import ANIMALS

MENDED = {"html-only", "relative-urls", "wrong-content-type"}
"""What is no matter any more behind a worker."""
OTHERWISE = {
    # The pages are in order, and it is not a mirror's business that they are of no use here.
    "sdists-only": "not-an-index",
    "foreign-wheels-only": "not-an-index",
    # What is unknown is left out, and is no worse for being deep.
    "deep-value": "ok",
    # User and password are left out as well, and are not asked for.
    "password-urls": "ok",
    # workerd takes the end of the connection for the end of the chunks.
    "file-chunks-cut": "hash-mismatch",
    # They break off after the first bytes have gone out.
    "oversized": "malformed",
    "gzip-bomb": "malformed",
}
BEHIND_PAGES = {"files-blocked", "hash-mismatch"}


def expected(name: str) -> tuple[str, ...]:
    """The verdict on the worker, as reasons: like Node, it does not care for CORS."""
    if name in OTHERWISE:
        return (OTHERWISE[name],)
    verdict = ANIMALS[name].expect("node")
    left = tuple(repair for repair in verdict.repairs if repair not in MENDED)
    return left or (("ok",) if verdict.support != "none" else (verdict.reason,))


def page_is_right(name: str) -> bool:
    return bool({"ok", "metadata-broken", "no-hashes", *BEHIND_PAGES} & {expected(name)[0]})


async def probe(url: str) -> Outcome:
    page = PageFacts(origin="http://notebook.example")
    report = await Session(CPythonHost(page)).probe(
        [Mirror(f"{url}/simple")], canary=CANARY, timeout=4.0
    )
    return report.outcomes[0]


@pytest.mark.parametrize("name", [name for name in ANIMALS if page_is_right(name)])
async def test_a_browser_can_use_what_can_be_mended(mirrored: Mapping[str, str], name: str) -> None:
    outcome = await probe(mirrored[name])
    assert (outcome.repairs or (outcome.reason,)) == expected(name), outcome


@pytest.mark.parametrize(
    "name", [name for name in ANIMALS if not page_is_right(name) and name not in OTHERWISE]
)
def test_what_cannot_be_mended_is_told_in_words(mirrored: Mapping[str, str], name: str) -> None:
    answer = ask(f"{mirrored[name]}/simple/{CANARY}/", {"Origin": "https://notebook.example"})
    assert_readable_error(answer)
    reason = expected(name)[0]
    if reason == "http-status":
        kept = int(name.partition("-")[0]) if name[:3].isdigit() else 500
        assert answer.status == kept
    else:
        assert answer.status == {"timeout": 504}.get(reason, 404 if name == "empty-json" else 502)


@pytest.mark.parametrize("name", ["oversized", "gzip-bomb"])
def test_what_is_too_large_breaks_off_and_is_not_kept(
    mirrored: Mapping[str, str], name: str
) -> None:
    for _ in range(2):
        # workerd ends the chunks as if all were well: what tells is that this is no JSON.
        answer = ask(f"{mirrored[name]}/simple/{CANARY}/")
        assert answer.status == 200
        assert answer.headers["CF-Cache-Status"] is None
        with pytest.raises(json.JSONDecodeError):
            json.loads(answer.body)


@pytest.mark.parametrize("name", ["sdists-only", "foreign-wheels-only"])
def test_a_page_of_other_files_is_a_page(mirrored: Mapping[str, str], name: str) -> None:
    page = json.loads(ask(f"{mirrored[name]}/simple/{CANARY}/").body)
    assert page["files"]


def assert_readable_error(answer: Answer) -> None:
    assert answer.status >= 400
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.text.endswith(".\n")
    assert "<" not in answer.text
    assert "\x1b" not in answer.text
