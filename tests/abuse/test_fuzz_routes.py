"""Requests at random to the documented routes; what is answered is documented, too."""

import json
import random
import re

import pytest

from pyodide_mirror.server import create_app
from tests.abuse.documented import operations
from tests.abuse.fuzz_routes import (
    HEADERS,
    JSON_QUERY,
    PROJECTS,
    fuzz,
    fuzzed_server,
    known_parameters,
    world,
)
from tests.support.asgi import ask, shut
from tests.support.logins import bearer
from tests.support.own_server import Serving

READ = {200, 206, 301, 304, 403, 404, 406, 416}


def statuses(server: Serving) -> set[int]:
    """The statuses of all answers, as the server's log has them."""
    return {int(found) for found in re.findall(r'HTTP/1\.1" (\d{3})', server.output)}


@pytest.mark.parametrize("logins", [False, True], ids=["open", "logins"])
async def test_hundreds_of_requests(logins: bool) -> None:
    chosen, seen = random.Random(1), set()  # noqa: S311  # the same in each run
    with world() as given:
        app = create_app(**given.settings(logins=logins))
        urls = [
            file["url"]
            for project in PROJECTS
            for file in json.loads(
                (await ask(app, f"/simple/{project}/?{JSON_QUERY}", bearer())).body
            )["files"]
        ]
        known = known_parameters(urls)
        for operation in operations():
            # Files have most that can be asked for: parts, copies, metadata.
            for _ in range(150 if "{filename}" in operation.path else 25):
                target = operation.target(chosen, known.get(operation.path, []))
                headers = {
                    name: chosen.choice([*values, "*", '"', ";=,", "x" * 300])
                    for name, values in HEADERS.items()
                    if chosen.random() < 1 / 3
                }
                answer = await ask(app, target, headers, method=operation.method.upper())
                sent = f"{operation.method} {target} {headers}"
                assert answer.complete, sent
                assert not operation.problem(answer), f"{operation.problem(answer)}: {sent}"
                assert answer.status < 500, sent
                seen.add(answer.status)
        await shut(app)
    # They were not all refused for the same reason.
    assert READ | ({204, 401} if logins else {405}) <= seen


@pytest.mark.nightly
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("logins", [False, True], ids=["open", "logins"])
def test_thousands_of_requests(logins: bool) -> None:
    with fuzzed_server(logins=logins) as server:
        fuzzed = fuzz(server, 450, "--workers", "2")
    assert fuzzed.code == 0, fuzzed.output
    assert fuzzed.requests >= 5_000  # 10,000 in both
    assert max(statuses(server)) < 500
    assert "Traceback" not in server.output
    # Parts that no file has are asked for by chance; the test above has them each time.
    assert (READ - {416}) | ({204, 401} if logins else {405}) <= statuses(server)


def test_every_route_is_documented() -> None:
    app = create_app(upstreams=[])
    while not hasattr(app, "routes"):
        app = vars(app).get("app") or app._app  # type: ignore[attr-defined]
    served = {
        (re.sub(r":\w+}", "}", route.path), method.lower())
        for route in app.routes
        for method in route.methods - {"HEAD"}
    }
    documented = {(each.path, each.method) for each in operations()}
    documented -= {("/legacy/", "post")}  # with --upload only, and also under other paths
    assert served == documented, "docs/openapi.yaml"
