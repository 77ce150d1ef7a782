"""The description of the server's routes, docs/openapi.yaml, and what of an answer is not so."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import yaml

from tests.support.asgi import Answer
from tests.support.provision import ROOT

SCHEMA = ROOT / "docs" / "openapi.yaml"


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a path. ``responses``: what may come, by status."""

    path: str
    method: str
    queries: Mapping[str, list[str]]
    responses: Mapping[int, Mapping[str, Any]]

    def target(self, chosen: random.Random, known: list[dict[str, str]]) -> str:
        """A path with values that are known, or are anything, and perhaps a query."""
        values = chosen.choice(known) if known and chosen.random() < 2 / 3 else {}
        path = re.sub(r"{(\w+)}", lambda name: values.get(name[1]) or _anything(chosen), self.path)
        if not self.queries or chosen.random() < 1 / 2:
            return path
        name, several = chosen.choice(list(self.queries.items()))
        return f"{path}?{name}={quote(chosen.choice([*several, _anything(chosen)]), safe='')}"

    def problem(self, answer: Answer) -> str:
        """What of an answer is not as the description says; empty if all is."""
        said = self.responses.get(answer.status)
        if said is None:
            return f"the status {answer.status}"
        content_type = answer.headers.get("content-type", "").partition(";")[0]
        if answer.body and content_type not in said.get("content", {}):
            return f"the content type {content_type!r}"
        for name, header in said.get("headers", {}).items():
            value = answer.headers.get(name.lower())
            if value is None and header.get("required"):
                return f"no header {name}"
            pattern = header["schema"].get("pattern", "")
            if value is not None and not re.search(pattern, value):
                return f"the header {name}: {value}"
        return ""


def _anything(chosen: random.Random) -> str:
    letters = "abcXYZ019-._~%!$&'()*+,;=:@ \"<>\\^`{|}\u00e9\u4e2d\U0001f600"
    text = "".join(chosen.choices(letters, k=chosen.choice([1, 2, 8, 100])))
    return text if chosen.random() < 1 / 2 else quote(text, safe="")


def operations() -> list[Operation]:
    """All that the description has."""
    document = yaml.safe_load(SCHEMA.read_text("utf-8"))
    return [
        Operation(path, method, *_parts(document, item.get("parameters", []), operation))
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]


def _parts(document: Any, shared: Any, operation: Any) -> tuple[Any, Any]:
    parameters = _resolved(document, [*shared, *operation.get("parameters", [])])
    queries = {
        each["name"]: each["schema"].get("enum", []) for each in parameters if each["in"] == "query"
    }
    responses = _resolved(document, operation["responses"])
    return queries, {int(status): response for status, response in responses.items()}


def _resolved(document: Any, part: Any) -> Any:
    """A part of the document in which no reference is left."""
    if isinstance(part, list):
        return [_resolved(document, each) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        found = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return _resolved(document, found)
    return {name: _resolved(document, each) for name, each in part.items()}
