"""Animals whose pages are fine and whose files are not."""

from types import MappingProxyType

from tests.zoo.changes import failing, in_manner, moved, no_cors, replaced, says, then, urls
from tests.zoo.parts import LOGIN, Animal, Doc, Visit, as_html, in_node
from tests.zoo.server import Manner


def _other_digests(_visit: Visit, doc: Doc) -> Doc:
    """Give each file the digest of the one before it."""
    files = doc["files"]
    other = [files[index - 1]["hashes"] for index in range(len(files))]
    if len(files) == 1:
        other = [{"sha256": "1" * 64}]
    return doc | {"files": [item | {"hashes": one} for item, one in zip(files, other, strict=True)]}


FILES: tuple[Animal, ...] = (
    Animal(
        "file-no-cors",
        "pages may be read, files may not",
        "files-blocked",
        in_node("ok"),
        file=no_cors,
        metadata=no_cors,
    ),
    Animal("file-404", "files are a readable 404", "files-blocked", file=failing(404)),
    Animal(
        "file-404-no-cors",
        "files are a 404 without CORS",
        "files-blocked",
        file=then(failing(404), no_cors),
    ),
    Animal("file-403", "the signed URLs have expired", "files-blocked", file=failing(403)),
    Animal("file-cut", "files are cut off", "files-blocked", file=in_manner(Manner.CUT)),
    Animal(
        "file-chunks-cut",
        "files are cut off, and no Content-Length tells",
        "files-blocked",
        # They hand the half file over as if it were whole; its digest is wrong.
        MappingProxyType({"webkit": "hash-mismatch"}),
        file=in_manner(Manner.CHUNKS_CUT),
    ),
    Animal("file-hangs", "files never come", "files-blocked", file=in_manner(Manner.HANG)),
    Animal(
        "file-hangs-half",
        "half of each file comes, then nothing",
        "files-blocked",
        file=in_manner(Manner.HALF),
    ),
    Animal(
        "file-reset",
        "connections for files are reset",
        "files-blocked",
        file=in_manner(Manner.RESET),
    ),
    Animal(
        "file-closed-port",
        "files on a port where nobody listens",
        "files-blocked",
        document=urls("{site.closed}/files/{filename}"),
    ),
    Animal(
        "file-redirect-no-cors",
        "files redirect, without CORS, to where they may be read",
        "files-blocked",
        in_node("ok"),
        file=moved("/real", hop=no_cors),
    ),
    Animal(
        "relative-and-file-404",
        "relative URLs of files that are not there",
        "files-blocked",
        document=urls("../../files/{filename}"),
        file=failing(404),
    ),
    Animal(
        "file-tampered",
        "files are not what the page says, but of its length",
        "hash-mismatch",
        file=replaced(b"VALUE", b"EVIL_"),
    ),
    Animal(
        "other-digests",
        "the page has the digest of another file",
        "hash-mismatch",
        document=_other_digests,
    ),
    Animal(
        "file-empty",
        "files are empty, with 200",
        "hash-mismatch",
        file=says(b"", "application/octet-stream"),
    ),
    Animal(
        "file-login",
        "files are a login page, with 200",
        "hash-mismatch",
        file=says(LOGIN, "text/html"),
    ),
    Animal(
        "html-tampered",
        "PEP 503 HTML, and files that are not what it says",
        "hash-mismatch",
        render=as_html(),
        file=replaced(b"VALUE", b"EVIL_"),
    ),
)
