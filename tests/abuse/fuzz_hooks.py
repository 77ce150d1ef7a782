"""What schemathesis is told of the server that it fuzzes; loaded by schemathesis alone.

Names at random are on no server: without this, hardly a request would find a page or a file. And
it sends the headers that OpenAPI leaves to the client: Accept, Authorization, and those of ranges
and of copies that the client has.
"""

import json
import os
import random
from typing import Any

import schemathesis
from hypothesis import strategies as st

KNOWN = json.loads(os.environ["FUZZ_KNOWN"])
"""``parameters``: by the path, values that lead somewhere; ``headers``: by name, values to send."""
_RANDOM = random.Random(0)  # noqa: S311  # not for secrets, and the same in each run


@schemathesis.hook
def before_generate_path_parameters(context: Any, strategy: Any) -> Any:
    """Draw what is there half of the time, and else anything."""
    known = KNOWN["parameters"].get(context.operation.path)
    return strategy | st.sampled_from(known) if known else strategy


@schemathesis.hook
def before_call(_: Any, case: Any, __: dict[str, Any]) -> None:
    """Add some of the headers, with values that mean something or hardly anything."""
    for name, values in KNOWN["headers"].items():
        if _RANDOM.random() < 1 / 3:
            case.headers[name] = _RANDOM.choice([*values, "*", '"', ";=,", "x" * 300])
