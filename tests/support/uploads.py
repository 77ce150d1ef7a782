"""The form of the legacy upload API, as twine sends it."""

import hashlib
from collections.abc import Iterable
from typing import Any

from tests.support.asgi import ASGI, Answer, ask
from tests.support.logins import UPLOADER, basic
from tests.support.wheels import Sdist

BOUNDARY = b"f0d1c2"
CONTENT_TYPE = {"content-type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
LOGIN = basic("__token__", UPLOADER)


def fields_of(dist: Sdist, **other: str | None) -> dict[str, str]:
    """The fields of a file's form; ``other``: with other values, or without where that is None."""
    kind = "bdist_wheel" if dist.filename.endswith(".whl") else "sdist"
    fields: dict[str, str | None] = {
        ":action": "file_upload",
        "protocol_version": "1",
        "filetype": kind,
        "name": dist.name,
        "version": dist.version,
        "metadata_version": "2.1",
        "description": "it does nothing\r\n",
        "sha256_digest": dist.sha256,
        "md5_digest": hashlib.md5(dist.data, usedforsecurity=False).hexdigest(),
        "blake2_256_digest": hashlib.blake2b(dist.data, digest_size=32).hexdigest(),
        **other,
    }
    return {name: value for name, value in fields.items() if value is not None}


def form(
    fields: Iterable[tuple[str, str]],
    filename: str = "",
    content: bytes = b"",
    name: str = "content",
) -> bytes:
    """A form of fields, and of a file after them if it has a name."""
    parts = [
        f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}'.encode()
        for key, value in fields
    ]
    if filename:
        head = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        head += "Content-Type: application/octet-stream\r\n\r\n"
        parts.append(head.encode() + content)
    begun = b"".join(b"--" + BOUNDARY + b"\r\n" + part + b"\r\n" for part in parts)
    return begun + b"--" + BOUNDARY + b"--\r\n"


def form_of(dist: Sdist, filename: str = "", **other: str | None) -> bytes:
    """The form of a file, under its own name or another."""
    return form(fields_of(dist, **other).items(), filename or dist.filename, dist.data)


async def post(
    app: ASGI, body: bytes, path: str = "/legacy/", pieces: int = 1000, **options: Any
) -> Answer:
    """Send a form in pieces of so many bytes."""
    headers = {**CONTENT_TYPE, **LOGIN, **options.pop("headers", {})}
    cut = [body[at : at + pieces] for at in range(0, len(body), pieces)] or [b""]
    return await ask(app, path, headers, method="POST", body=cut, **options)
