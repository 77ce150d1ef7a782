"""Pages that the browser has cut down say the same as whole ones, to us and to micropip."""

from typing import Any

import pytest
from pytest_pyodide import run_in_pyodide

from tests.support.engines import PAGES, Engine
from tests.support.page_cases import CASES, DEEP, Page
from tests.support.page_makers import EXAMPLES, generated
from tests.zoo.server import LOOPBACK, Request, Response, Server

# For each change, Node cuts down a table of them (tests/host/index).
pytestmark = [pytest.mark.nightly, pytest.mark.engines(*PAGES)]

PADDING = b" " * 20_000
"""Space at the end of each page: small ones are not worth cutting down."""


def pages() -> dict[str, Page]:
    """All pages that are compared, by their names."""
    made = {f"generated {number}": page for number, page in enumerate(generated())}
    deep = {name: Page(body) for name, body in DEEP.items()}
    return {**{case.name: Page(case.body) for case in CASES}, **deep, **made}


@run_in_pyodide
async def compare(selenium: Engine, origin: str, names: list[str]) -> dict[str, list[Any]]:
    """Read each page cut down and whole; the result is what each of them says."""
    import asyncio

    from micropip.package_index import ProjectInfo

    from pyodide_mirror import Mirror
    from pyodide_mirror.browser import FetchTransport, Policies, page_facts
    from pyodide_mirror.index import ACCEPT, PageError, read_page, smallest_wheel
    from pyodide_mirror.installing import (
        DeferredMirrors,
        Failover,
        MirrorClient,
        MirrorOrder,
        RankedMirror,
    )
    from pyodide_mirror.transport import NO_PROGRESS, Progress, Request, Response

    transport = FetchTransport(await page_facts(), Policies())

    class Given:
        """A transport with an answer."""

        def __init__(self, response: Response) -> None:
            self.page, self._response = transport.page, response

        async def fetch(self, request: Request, progress: Progress = NO_PROGRESS) -> Response:
            return self._response

    def wheel(info: object) -> dict[str, str]:
        fields = ("filename", "url", "sha256", "size", "core_metadata", "yanked_reason")
        return {name: repr(getattr(info, name)) for name in fields}

    async def to_micropip(response: Response, mirror: Mirror) -> list[list[dict[str, str]]]:
        """All wheels that micropip could choose, as it reads what it is handed."""
        given = Given(response)
        mirrors = DeferredMirrors(MirrorOrder((RankedMirror(mirror),), given, 5.0))
        client = MirrorClient(given, 5.0, lambda _: None)
        served = await Failover(mirrors, client, lambda _: None).page("demo")
        releases = ProjectInfo.from_simple_json_api(served.document).releases
        found = [[wheel(info) for info in infos] for infos in releases.values()]
        return [infos for infos in found if infos]

    async def says(response: Response, mirror: Mirror) -> dict[str, object]:
        try:
            page = read_page(response, "demo")
        except PageError as error:
            return {"refused": str(error.finding.reason)}
        smallest = smallest_wheel(page)
        return {
            "repairs": [str(repair) for repair in page.repairs],
            "of the probe": None if smallest is None else smallest.filename,
            "for micropip": await to_micropip(response, mirror),
        }

    async def one(number: int) -> list[object]:
        mirror = Mirror(f"{origin}/{number}/simple")
        options = {"url": mirror.project_url("demo"), "timeout": 20.0, "max_bytes": 1 << 20}
        options["headers"] = {"accept": ACCEPT}
        lean, whole = [
            await transport.fetch(Request(**options, lean=lean)) for lean in (True, False)
        ]
        cut = len(lean.body) < len(whole.body)
        how = "whole" if not cut else "plain" if lean.checked else "cut"
        return [how, *[await says(response, mirror) for response in (lean, whole)]]

    async def some(start: int) -> list[tuple[str, list[object]]]:
        return [(names[number], await one(number)) for number in range(start, len(names), 6)]

    return {
        name: says for part in await asyncio.gather(*map(some, range(6))) for name, says in part
    }


@pytest.fixture(scope="module")
def _found() -> dict[str, dict[str, list[Any]]]:
    return {}


@pytest.fixture
def found(page: Engine, _found: dict[str, dict[str, list[Any]]]) -> dict[str, list[Any]]:
    """What all pages say, lean and whole; they are compared once in each engine."""
    if page.name not in _found:
        by_name = pages()
        served = list(by_name.values())

        def answer(request: Request) -> Response:
            one = served[int(request.path.split("/")[1])]
            headers = (("Access-Control-Allow-Origin", "*"), ("Content-Type", one.content_type))
            return Response(headers=headers, body=one.body + PADDING)

        server = Server(answer)
        try:
            _found[page.name] = compare(page, f"http://{LOOPBACK}:{server.port}", list(by_name))
        finally:
            server.close()
    return _found[page.name]


def test_browsers_cut_down_what_node_does(found: dict[str, list[Any]]) -> None:
    how = {case.name: found[case.name][0] for case in CASES}
    assert {case.name: how[case.name] for case in CASES if how[case.name] != case.lean} == {}


def test_javascript_and_python_agree_on_all_that_a_page_says(found: dict[str, list[Any]]) -> None:
    differing = {name: both for name, (_, *both) in found.items() if both[0] != both[1]}
    assert {name: both for name, both in differing.items() if name not in DEEP} == {}
    # Otherwise there was nothing to compare.
    assert sum(how != "whole" for how, *_ in found.values()) > EXAMPLES / 3
    assert sum(bool(whole.get("for micropip")) for *_, whole in found.values()) > EXAMPLES / 3
    assert sum("refused" in whole for *_, whole in found.values()) > EXAMPLES / 10


def test_a_page_that_is_too_deep_is_refused_or_flat_and_harms_nobody(
    found: dict[str, list[Any]],
) -> None:
    usual = found["alone: the usual entry"][1]
    assert usual["for micropip"]
    for name in DEEP:
        how, lean, whole = found[name]
        assert whole == {"refused": "malformed"}, name
        assert lean == (usual if how == "plain" else whole), name
