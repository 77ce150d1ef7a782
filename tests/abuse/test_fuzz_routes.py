"""Requests at random to the documented routes; what is answered is documented, too."""

import re

import pytest
import yaml

from pyodide_mirror.server import create_app
from tests.abuse.fuzz_routes import SCHEMA, Fuzzed, fuzz, fuzzed_server
from tests.support.own_server import Serving

DELETED = 204
READ = {200, 206, 301, 304, 403, 404, 406, 416}


def statuses(server: Serving) -> set[int]:
    """The statuses of all answers, as the server's log has them."""
    return {int(found) for found in re.findall(r'HTTP/1\.1" (\d{3})', server.output)}


def check(fuzzed: Fuzzed, server: Serving) -> None:
    assert fuzzed.code == 0, fuzzed.output
    assert max(statuses(server)) < 500
    assert "Traceback" not in server.output


def test_a_few_requests_to_each_route() -> None:
    options = ["--phases", "fuzzing", "--seed", "1"]
    with fuzzed_server(logins=True) as server:
        fuzzed = fuzz(server, 4, *options)
        check(fuzzed, server)
    assert fuzzed.requests > 40


@pytest.mark.nightly
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("logins", [False, True], ids=["open", "logins"])
def test_thousands_of_requests(logins: bool) -> None:
    with fuzzed_server(logins=logins) as server:
        fuzzed = fuzz(server, 450, "--workers", "2")
        check(fuzzed, server)
    assert fuzzed.requests >= 5_000  # 10,000 in both
    # They were not all refused for the same reason.
    assert READ | ({DELETED, 401} if logins else {405}) <= statuses(server)


def test_every_route_is_documented() -> None:
    app = create_app(upstreams=[])
    while not hasattr(app, "routes"):
        app = app._app  # type: ignore[attr-defined]
    served = {
        (re.sub(r":\w+}", "}", route.path), method.lower())
        for route in app.routes
        for method in route.methods - {"HEAD"}
    }
    documented = {
        (path, method)
        for path, item in yaml.safe_load(SCHEMA.read_text("utf-8"))["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert served == documented, "docs/openapi.yaml"
