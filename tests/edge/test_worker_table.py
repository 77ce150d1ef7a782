"""The table of HTTP checks, over the snippet that is made of the worker, in workerd.

Over the worker itself it is run beside our server, in tests/host.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pyodide_mirror.edge import worker_source
from pyodide_mirror.edge.folder import snippet
from tests.conformance.checks import Capabilities, Check, Context, case_id, cases
from tests.edge.workerd import worker
from tests.support.upstreams import Kind, Upstream

CAN = Capabilities(ours=True, keeps_upstream_status=True, pins_file_hosts=True, patience=10.0)
KINDS: tuple[Kind, ...] = ("json", "html", "failing", "refused", "hanging")

Begin = Callable[[Kind], Context]


@pytest.fixture(scope="module")
def begin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Begin]:
    """A function that starts the snippet over an upstream, once."""
    with ExitStack() as stack:
        started: dict[Kind, Context] = {}

        def start(kind: Kind) -> Context:
            if kind not in started:
                index = stack.enter_context(Upstream(kind))
                fixed = {
                    "UPSTREAM": index.url,
                    "FILE_HOSTS": " ".join(index.file_hosts),
                    "TIMEOUT_MS": "2000",
                    "CACHE": "small",
                }
                script = Path(tmp_path_factory.mktemp("snippet"), "snippet.js")
                script.write_text(snippet(worker_source(), fixed))
                running = stack.enter_context(worker(None, script=script))
                started[kind] = Context(f"{running.url}/simple", index, CAN)
            return started[kind]

        yield start


@pytest.mark.parametrize(("kind", "check"), cases(CAN, KINDS), ids=case_id)
def test_the_table_holds_for_the_snippet(begin: Begin, kind: Kind, check: Check) -> None:
    check.run(begin(kind))
