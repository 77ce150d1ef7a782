"""Animals that are fine for the canary, and fail on something else."""

import hashlib
from dataclasses import replace

from tests.support.wheels import CANARY, ROOT, STOCK, Wheel
from tests.zoo.changes import failing, in_manner, no_cors, of_project, replaced, says, when
from tests.zoo.parts import WELCOME, Animal, Doc, Visit, in_node
from tests.zoo.server import Manner, Response


def _forgetful(metadata: bytes) -> bytes:
    lines = metadata.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b"Requires-Dist"))


def _lying_metadata(_visit: Visit, response: Response) -> Response:
    return replace(response, body=_forgetful(response.body))


def _lying_digests(visit: Visit, doc: Doc) -> Doc:
    lies = {
        dist.filename: {"sha256": hashlib.sha256(_forgetful(dist.metadata)).hexdigest()}
        for dist in STOCK[visit.project]
        if isinstance(dist, Wheel)
    }
    return doc | {
        "files": [
            item | {"core-metadata": lies.get(item["filename"], False)} for item in doc["files"]
        ]
    }


_DEP = "zoo-dep-b"

TURNING: tuple[Animal, ...] = (
    Animal(
        "masked-404",
        "200 and a welcome page for projects that it lacks",
        "ok",
        every=when(
            lambda visit: visit.kind == "page" and visit.project not in STOCK,
            says(WELCOME, "text/html", 200),
        ),
    ),
    *(
        Animal(name, text, "ok", completes=False, page=of_project(_DEP, change))
        for name, text, change in (
            ("dep-page-missing", "a readable 404 for one dependency", failing(404)),
            ("dep-page-500", "500 for one dependency", failing(500)),
            ("dep-page-hangs", "silence for one dependency", in_manner(Manner.HANG)),
            ("dep-page-welcome", "a welcome page for one dependency", says(WELCOME, "text/html")),
        )
    ),
    Animal(
        "dep-page-no-cors",
        "no CORS for one dependency",
        "ok",
        in_node("ok"),  # it completes there
        completes=False,
        page=of_project(_DEP, no_cors),
    ),
    *(
        Animal(name, text, "ok", completes=False, file=of_project(_DEP, change))
        for name, text, change in (
            ("dep-file-missing", "one dependency's file is a readable 404", failing(404)),
            ("dep-file-cut", "one dependency's file is cut off", in_manner(Manner.CUT)),
            ("dep-file-hangs", "one dependency's file never comes", in_manner(Manner.HANG)),
            (
                "dep-file-tampered",
                "one dependency's file is not what the page says",
                replaced(b"VALUE", b"EVIL_"),
            ),
        )
    ),
    Animal(
        "dep-metadata-missing",
        "the root's promised metadata is a readable 404; the canary's is there",
        "ok",
        metadata=of_project(ROOT, failing(404)),
    ),
    Animal(
        "metadata-lies",
        "the metadata fits its digest and forgets every dependency that the wheel has",
        "ok",
        document=_lying_digests,
        metadata=_lying_metadata,
        doubt="The canary has no dependencies: only the closure check of the install can tell.",
    ),
    Animal(
        "dep-busy-once",
        "503 for a dependency's page the first time, and fine from then on",
        "ok",
        page=of_project(_DEP, when(lambda visit: visit.earlier == 0, failing(503))),
        doubt="Alone it completes only if a 503 is tried once more.",
    ),
    Animal(
        "dies-after-probe",
        "resets every connection that is not about the canary",
        "ok",
        completes=False,
        every=when(lambda visit: visit.project != CANARY, in_manner(Manner.RESET)),
    ),
)
