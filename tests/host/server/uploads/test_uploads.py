"""Uploads: what is taken, what is refused and why, and that nothing is ever left over."""

import asyncio
import errno
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyodide_mirror.server import create_app
from pyodide_mirror.server.cache.unfinished import locked_file
from pyodide_mirror.server.uploads import form as upload_form
from pyodide_mirror.server.uploads import uploads
from pyodide_mirror.server.uploads.form import ReceivedFile
from tests.support.asgi import ASGI, Index, ask, document, entry, origin, shut
from tests.support.logins import (
    BOTH,
    READER,
    UPLOADER,
    USER,
    LoginFiles,
    basic,
    bearer,
    write_login_files,
)
from tests.support.uploads import BOUNDARY, CONTENT_TYPE, LOGIN, fields_of, form, form_of, post
from tests.support.wheels import Sdist, Wheel, make_sdist, make_wheel

WHEEL = make_wheel("acme-tool", "1.0", requires=["acme-base>=1"], requires_python=">=3.8")
SDIST = make_sdist("acme-tool", "1.0")
OTHER = make_wheel("acme-tool", "1.0", modules={"more.py": "1"})
LIMIT = 50_000


class Place:
    """A folder for uploads, and the server over it."""

    def __init__(self, folder: Path, app: ASGI) -> None:
        self.folder = folder
        self.app = app

    @property
    def names(self) -> list[str]:
        """The files in the folder; nothing unfinished is left in it."""
        assert list((self.folder / ".uploads").iterdir()) == []
        return sorted(path.name for path in self.folder.iterdir() if path.is_file())

    async def listed(self, project: str = "acme-tool") -> list[str]:
        """The files on a project's page; none where there is no page."""
        answer = await ask(self.app, f"/simple/{project}/", bearer(BOTH))
        if answer.status == 404:
            return []
        return sorted(file["filename"] for file in json.loads(answer.body)["files"])


@asynccontextmanager
async def place(folder: Path, logins: LoginFiles, **options: Any) -> AsyncIterator[Place]:
    options = {"upload": folder, "upload_limit": LIMIT, "token_file": logins.tokens, **options}
    made: Any = create_app(
        options.pop("served", None),
        upstreams=options.pop("upstreams", []),
        cache=folder.parent / "cache",
        **options,
    )
    yield Place(folder, made)
    await shut(made)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "uploaded").mkdir()
    return tmp_path / "uploaded"


@pytest.fixture
def logins(tmp_path: Path) -> LoginFiles:
    return write_login_files(tmp_path)


@pytest.fixture
async def here(folder: Path, logins: LoginFiles) -> AsyncIterator[Place]:
    async with place(folder, logins, auth=logins.auth) as made:
        yield made


# --- what is taken ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/legacy/", "/legacy", "/", "/simple/", "/simple"])
async def test_what_is_uploaded_is_served_at_once(
    here: Place, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await here.listed() == []
    for dist in (WHEEL, SDIST):
        with caplog.at_level(logging.INFO):
            answer = await post(here.app, form_of(dist), path)
        assert (answer.status, answer.text) == (200, f"{dist.filename} is served now.\n")
        assert f"uploaded: {dist.filename} ({len(dist.data):,} bytes) by the token of line 2" in (
            caplog.text
        )
    assert here.names == await here.listed() == [WHEEL.filename, SDIST.filename]
    assert (here.folder / WHEEL.filename).read_bytes() == WHEEL.data
    assert (here.folder / WHEEL.filename).stat().st_mode & 0o777 == 0o644
    page = await ask(here.app, "/simple/acme-tool/", bearer(BOTH))
    file = json.loads(page.body)["files"][0]
    assert file["hashes"] == {"sha256": WHEEL.sha256}
    assert file["core-metadata"] == {"sha256": WHEEL.metadata_sha256}
    got = await ask(here.app, file["url"].removeprefix("http://mirror.localhost"), bearer(BOTH))
    assert got.body == WHEEL.data
    assert UPLOADER not in caplog.text


async def test_the_same_again_is_right_and_another_is_a_conflict(here: Place) -> None:
    for dist, other in (
        (WHEEL, OTHER),
        (SDIST, make_sdist("acme-tool", "1.0", requires_python=">3")),
    ):
        assert (await post(here.app, form_of(dist))).status == 200
        again = await post(here.app, form_of(dist))
        assert (again.status, again.text) == (
            200,
            f"{dist.filename} was here already, with the same content.\n",
        )
        answer = await post(here.app, form_of(other))
        assert answer.status == 409
        assert f"409: The file {dist.filename} already exists with other content" in answer.text
        assert (here.folder / dist.filename).read_bytes() == dist.data
    assert here.names == [WHEEL.filename, SDIST.filename]


async def test_another_spelling_of_a_name_is_the_same_file(here: Place) -> None:
    assert (await post(here.app, form_of(WHEEL))).status == 200
    for name in ("Acme_Tool-1.0-py3-none-any.whl", "acme_tool-1.0.0-py3-none-any.whl"):
        answer = await post(here.app, form_of(OTHER, name))
        assert (answer.status, f"{WHEEL.filename} already exists" in answer.text) == (409, True)
    assert (await post(here.app, form_of(OTHER, "acme_tool-1.0-1-py3-none-any.whl"))).status == 200


async def test_of_many_at_once_one_is_stored(here: Place) -> None:
    wheels = [make_wheel("acme-tool", "1.0", modules={"n.py": f"{n}"}) for n in range(8)]
    answers = await asyncio.gather(*(post(here.app, form_of(each)) for each in wheels))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7
    stored = wheels[[answer.status for answer in answers].index(200)]
    assert (here.folder / WHEEL.filename).read_bytes() == stored.data
    assert here.names == [WHEEL.filename]


async def test_what_has_its_name_but_is_not_served_is_not_replaced(here: Place) -> None:
    (here.folder / WHEEL.filename).write_bytes(b"half")
    assert (await post(here.app, form_of(WHEEL))).status == 409
    assert (here.folder / WHEEL.filename).read_bytes() == b"half"
    (here.folder / SDIST.filename).symlink_to("nowhere")
    assert (await post(here.app, form_of(SDIST))).status == 503  # nobody knows what there is
    assert not (here.folder / "nowhere").exists()


async def test_a_file_system_without_links_will_do(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert (await post(here.app, form_of(WHEEL))).status == 200
    assert (await post(here.app, form_of(WHEEL))).status == 200
    assert (await post(here.app, form_of(OTHER))).status == 409
    assert here.names == [WHEEL.filename]
    assert (here.folder / WHEEL.filename).read_bytes() == WHEEL.data

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "replace", fail)
    assert (await post(here.app, form_of(SDIST))).status == 503
    assert here.names == [WHEEL.filename]


async def test_a_project_of_ones_own_is_not_asked_for_upstream(
    folder: Path, logins: LoginFiles
) -> None:
    index = Index()
    index.page(document(entry()))
    async with (
        origin(index) as upstream,
        place(folder, logins, upstreams=[f"{upstream.url}/simple"], cdns=[]) as here,
    ):
        assert await here.listed("x") == ["x-1.0-py3-none-any.whl"]
        mine = make_wheel("x", "0.1")
        assert (await post(here.app, form_of(mine))).status == 200
        asked = len(upstream.requests)
        assert await here.listed("x") == [mine.filename]
        assert len(upstream.requests) == asked


async def test_digests_and_versions_need_not_be_told_if_the_file_has_them(here: Place) -> None:
    bare = fields_of(
        WHEEL,
        protocol_version=None,
        metadata_version=None,
        sha256_digest="",
        md5_digest=None,
        blake2_256_digest=None,
        name="ACME.Tool",
        version="1.0.0",
    )
    answer = await post(here.app, form(bare.items(), WHEEL.filename, WHEEL.data))
    assert (answer.status, here.names) == (200, [WHEEL.filename])


async def test_signatures_and_attestations_are_read_over(here: Place) -> None:
    body = form_of(WHEEL, attestations="[{}]").removesuffix(b"--\r\n") + b"\r\n"
    body += form([], f"{WHEEL.filename}.asc", b"-----BEGIN PGP", "gpg_signature").partition(
        b"\r\n"
    )[2]
    assert (await post(here.app, body)).status == 200
    assert here.names == [WHEEL.filename]


# --- what is refused ----------------------------------------------------------------------------

BROKEN = Wheel(
    filename=WHEEL.filename, name="acme-tool", version="1.0", data=WHEEL.data[:-40], metadata=b""
)
NO_RECORD = Wheel(
    filename=WHEEL.filename,
    name="acme-tool",
    version="1.0",
    data=WHEEL.data.replace(b"RECORD", b"RECURD"),
    metadata=b"",
)
BAD_REQUIREMENT = make_wheel("acme-tool", "1.0", requires=["acme-base >>> 1"])
BAD_PYTHON = make_wheel("acme-tool", "1.0", requires_python="snake")
NO_METADATA = make_wheel("acme-tool", "1.0", metadata=b"Metadata-Version: 2.1\n")
OF_OTHER = make_wheel(
    "acme-tool", "1.0", metadata=b"Metadata-Version: 2.1\nName: other\nVersion: 1.0\n"
)
OF_OTHER_VERSION = make_wheel(
    "acme-tool", "1.0", metadata=b"Metadata-Version: 2.1\nName: acme-tool\nVersion: 1.1\n"
)


@pytest.mark.parametrize(
    ("dist", "changes", "sentence"),
    [
        (WHEEL, {":action": "submit"}, "projects need no registration here"),
        (WHEEL, {":action": None}, ":action must be file_upload"),
        (WHEEL, {"protocol_version": "2"}, "Protocol_version must be 1"),
        (WHEEL, {"filetype": "bdist_egg"}, "Filetype must be bdist_wheel or sdist"),
        (WHEEL, {"filetype": "sdist"}, "is not named like a sdist (NAME-VERSION.tar.gz)"),
        (SDIST, {"filetype": "bdist_wheel"}, "is not named like a bdist_wheel (NAME-VERSION-PY"),
        (WHEEL, {"name": "other"}, "is not of 'other' '1.0', as the form says"),
        (WHEEL, {"name": None}, "is not of '' '1.0', as the form says"),
        (WHEEL, {"version": "2"}, "is not of 'acme-tool' '2', as the form says"),
        (WHEEL, {"version": "one"}, "is not of 'acme-tool' 'one', as the form says"),
        (WHEEL, {"sha256_digest": "0" * 64}, "Sha256_digest is not that of the file"),
        (WHEEL, {"md5_digest": "0" * 32}, "Md5_digest is not that of the file"),
        (WHEEL, {"blake2_256_digest": "é"}, "Blake2_256_digest is not that of the file"),
        (WHEEL, {"name": "x" * 2000}, "Name has more than 1,000 bytes"),
        (BROKEN, {}, "its directory has no end"),
        (NO_RECORD, {}, "The wheel has no RECORD in its .dist-info folder"),
        (BAD_REQUIREMENT, {}, "has wrong metadata: 'acme-base >>> 1' is invalid"),
        (BAD_PYTHON, {}, "has wrong metadata: 'snake' is invalid for 'requires-python'"),
        (NO_METADATA, {}, "has wrong metadata: 'name' is a required field"),
        (OF_OTHER, {}, "is not of 'other' '1.0', as its metadata says"),
        (OF_OTHER_VERSION, {}, "is not of 'acme-tool' '1.1', as its metadata says"),
    ],
)
async def test_what_is_wrong_is_refused_and_told(
    here: Place, dist: Sdist, changes: dict[str, str | None], sentence: str
) -> None:
    answer = await post(here.app, form_of(dist, **changes))
    assert (answer.status, sentence in answer.text) == (400, True), answer.text
    assert here.names == []
    assert await here.listed() == []


@pytest.mark.parametrize(
    "name",
    [
        "../acme_tool-1.0-py3-none-any.whl",
        "/etc/acme_tool-1.0-py3-none-any.whl",
        ".acme_tool-1.0-py3-none-any.whl",
        "acme_tool-1.0-py3-none-any.whl\0",
        "acme_tool-1.0-py3-none-any.WHL",
        "acme_tool-1.0.whl",
        "acme_tool-one-py3-none-any.whl",
        "acme_tool-1.0.zip",
        "acmé_tool-1.0-py3-none-any.whl",
        "x" * 300 + "-1.0-py3-none-any.whl",
    ],
)
async def test_a_name_that_is_none_of_a_file_is_refused(here: Place, name: str) -> None:
    answer = await post(here.app, form_of(WHEEL, name))
    assert (answer.status, "is not named like a bdist_wheel" in answer.text) == (400, True)
    assert here.names == []


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The form was cut off"),
        (b"nothing of the kind", "The form cannot be read"),
        (form_of(WHEEL)[:-20], "The form was cut off"),
        (form(fields_of(WHEEL).items()), "The form has no file (content)"),
        (form_of(WHEEL).replace(b"; filename=", b"; other="), "The file (content) has no name"),
        (form(fields_of(WHEEL).items(), "x", b"", "other"), "The form has no file (content)"),
        (form([("name", "a"), ("name", "b")], "x"), "The form has name more than once"),
        (form([], "x").removesuffix(b"--\r\n") + form([], "x")[8:], "more than one file"),
        (form([("name", "ä")], "x").replace("ä".encode(), b"\xe4"), "Name is not UTF-8"),
        (form([(f"f{n}", "") for n in range(10_001)], "x"), "more than 10,000 parts"),
        (b"--" + BOUNDARY + b"\r\nX: " + b"x" * 10_000, "The form cannot be read (Maximum header"),
    ],
    ids=[
        *("empty", "nothing", "cut off", "no file", "no name", "another file"),
        *("twice", "two files", "not UTF-8", "parts", "long header"),
    ],
)
async def test_a_form_that_is_wrong_is_refused(
    here: Place, body: bytes, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await post(here.app, body, pieces=100_000)
    assert caplog.text == ""
    assert answer.status == (413 if "10,000" in sentence else 400)
    assert sentence in answer.text
    assert here.names == []


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "é;x=;"]
)
async def test_what_is_no_form_is_refused(here: Place, kind: str) -> None:
    answer = await post(here.app, form_of(WHEEL), headers={"content-type": kind})
    assert (answer.status, "An upload is a form (multipart/form-data)" in answer.text) == (
        400,
        True,
    )


async def test_it_is_bounded(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    big = make_wheel("acme-tool", "1.0", padding=LIMIT)
    answer = await post(here.app, form_of(big))
    assert (answer.status, f"more than {LIMIT:,} bytes, the limit" in answer.text) == (413, True)
    told = {"content-length": str(10**12)}  # then nothing of it is read
    answer = await post(here.app, b"", headers=told)
    assert (answer.status, "A file may have 50,000 bytes here" in answer.text) == (413, True)
    monkeypatch.setattr(upload_form, "MOST_BESIDES", 3_000)
    answer = await post(here.app, form_of(WHEEL, description="x" * 9_000))
    assert (answer.status, "more than 3,000 bytes besides the file" in answer.text) == (413, True)
    fits = make_wheel("acme-tool", "1.0", padding=LIMIT - len(WHEEL.data) - 300)
    assert (await post(here.app, form_of(fits))).status == 200
    assert here.names == [WHEEL.filename]


async def test_what_is_denied_is_not_taken(folder: Path, logins: LoginFiles) -> None:
    rules = {"deny": ["acme-tool<2", "evil"], "only_local": ["acme-*"], "allow": ["numpy"]}
    async with place(folder, logins, **rules) as here:
        answer = await post(here.app, form_of(WHEEL))
        assert (answer.status, answer.text) == (
            403,
            f"403: {WHEEL.filename} is denied here (deny acme-tool<2).\n".replace(
                "acme_", "Acme_", 1
            ),
        )
        assert (await post(here.app, form_of(make_wheel("evil", "9")))).status == 403
        assert here.names == []
        new = make_wheel("acme-tool", "2.0")
        assert (await post(here.app, form_of(new))).status == 200
        assert await here.listed() == [new.filename]


# --- who may ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "status", "sentence"),
    [
        ({"authorization": ""}, 401, "The Authorization header is neither Basic nor Bearer"),
        (basic("__token__", "wrong"), 401, "No such user with this password, or no such token"),
        (basic("__token__", READER), 403, "This login may not upload"),
        (bearer(READER), 403, "This login may not upload"),
        (basic(USER), 403, "a user may read only, and tokens may upload: take the user name __tok"),
        (basic(USER, UPLOADER), 401, "No such user"),
        (bearer(UPLOADER), 200, "is served now"),
        (bearer(BOTH), 200, "is served now"),
    ],
)
async def test_only_who_has_a_token_for_it_may(
    here: Place, login: dict[str, str], status: int, sentence: str
) -> None:
    answer = await post(here.app, form_of(WHEEL), headers=login)
    assert (answer.status, sentence in answer.text) == (status, True), answer.text
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert bool(here.names) == (status == 200)


@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "https://evil.example"},
        {"origin": "https://lab.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "same-origin"},
    ],
)
async def test_no_web_page_may_even_with_the_login_that_the_browser_has(
    folder: Path, logins: LoginFiles, sent: dict[str, str]
) -> None:
    async with place(folder, logins, allow_origins=["https://lab.example"]) as here:
        answer = await post(here.app, form_of(WHEEL), headers=sent)
        assert (answer.status, answer.text) == (403, "403: Web pages may change nothing here.\n")
        assert here.names == []
        preflight = {"access-control-request-method": "POST", "origin": "https://lab.example"}
        answer = await ask(here.app, "/legacy/", preflight, method="OPTIONS")
        assert "POST" not in answer.headers.get("access-control-allow-methods", "")


async def test_other_methods_and_paths(here: Place, folder: Path, logins: LoginFiles) -> None:
    for path in ("/files/", "/simple/acme-tool/", "/upload/"):
        answer = await post(here.app, form_of(WHEEL), path)
        assert (answer.status, "are uploaded by POST to /legacy/" in answer.text) == (405, True)
    for method in ("PUT", "PATCH", "DELETE"):
        answer = await ask(here.app, "/legacy/", LOGIN, method=method)
        assert (answer.status, "are uploaded by POST to /legacy/" in answer.text) == (405, True)
    answer = await ask(here.app, "/legacy/", bearer(BOTH))
    assert (answer.status, answer.headers["allow"]) == (405, "OPTIONS, POST")
    assert "twine" in answer.text
    answer = await ask(here.app, "/legacy/", method="OPTIONS")
    assert (answer.status, answer.headers["allow"]) == (204, "OPTIONS, POST")
    answer = await ask(here.app, "/simple/", method="OPTIONS")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    async with place(folder, logins, upload=None) as closed:
        for path in ("/", "/legacy/", "/simple/"):
            answer = await post(closed.app, form_of(WHEEL), path)
            assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
            assert "there are no uploads: copy files into the folder that is served, or start" in (
                answer.text
            )
        assert (await ask(closed.app, "/legacy/", bearer(BOTH))).status == 404


async def test_below_a_path_of_another_application(here: Place) -> None:
    answer = await post(here.app, form_of(WHEEL), root_path="/packages")
    assert (answer.status, here.names) == (200, [WHEEL.filename])


async def test_without_a_token_it_does_not_start(folder: Path, logins: LoginFiles) -> None:
    logins.tokens.write_text(f"read {READER}\n")
    for options in ({}, {"auth": logins.auth}, {"token_file": logins.tokens}):
        with pytest.raises(ValueError, match="uploads need a token: name a file by --token-file"):
            create_app(upstreams=[], upload=folder, cache=folder.parent / "cache", **options)  # type: ignore[arg-type]


async def test_a_folder_that_cannot_take_any_is_told_at_the_start(
    tmp_path: Path, logins: LoginFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {
        "upstreams": [],
        "token_file": logins.tokens,
        "cache": tmp_path / "c",
    }
    with pytest.raises(ValueError, match=r"the folder '.*nowhere' does not exist"):
        create_app(upload=tmp_path / "nowhere", **options)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / ".uploads").write_text("")
    with pytest.raises(ValueError, match=r"uploaded into the folder '.*taken': File"):
        create_app(upload=tmp_path / "taken", **options)
    for wrong in (-1, True, "1G"):
        with pytest.raises(ValueError, match="upload_limit must be a number of bytes"):
            create_app(upload=tmp_path, upload_limit=wrong, **options)  # type: ignore[arg-type]


# --- nothing is left over -----------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 500, 1_500])
async def test_who_breaks_off_leaves_nothing(
    here: Place, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    await post(here.app, form_of(WHEEL)[:count], pieces=100, breaks_off=True)
    assert here.names == []
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_who_hangs_is_told(folder: Path, logins: LoginFiles) -> None:
    async with place(folder, logins) as here:
        hanging = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await hanging.wait()
            return {"type": "http.disconnect"}

        taken = uploads.Uploads(folder, LIMIT, stalled=0.01)
        from starlette.exceptions import HTTPException
        from starlette.requests import Request

        headers = [(b"content-type", CONTENT_TYPE["content-type"].encode())]
        request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
        with pytest.raises(HTTPException) as caught:
            await taken.receive(request, None)  # type: ignore[arg-type]
        assert (caught.value.status_code, caught.value.detail) == (
            408,
            "nothing came for 0.01 seconds",
        )
        assert here.names == []


async def test_who_is_cut_off_when_the_server_ends_leaves_nothing(here: Place) -> None:
    body = form_of(WHEEL)
    sending = asyncio.create_task(post(here.app, body[:900] + body, pieces=900, breaks_off=False))
    await asyncio.sleep(0)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    assert here.names == []


@pytest.mark.parametrize(
    ("number", "status", "sentence"),
    [
        (errno.ENOSPC, 507, "The upload could not be stored: the disk of this server is full"),
        (errno.EDQUOT, 507, "The upload could not be stored: the disk of this server is full"),
        (errno.EIO, 503, "The upload could not be stored: its log says why"),
    ],
)
async def test_a_full_disk_is_told(
    here: Place,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
    status: int,
    sentence: str,
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    for owner, name in ((upload_form, "_write_all"), (ReceivedFile, "flush"), (os, "fsync")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, fail)
            answer = await post(here.app, form_of(WHEEL))
        assert (answer.status, sentence in answer.text) == (status, True), name
        assert here.names == []
        assert os.strerror(number) in caplog.text
    health = json.loads((await ask(here.app, "/healthz", bearer(BOTH))).body)
    told = f"an upload could not be stored ({os.strerror(number)})"
    assert health["upload"] == {"problem": told}
    assert (await post(here.app, form_of(WHEEL))).status == 200
    health = json.loads((await ask(here.app, "/healthz", bearer(BOTH))).body)
    assert health["upload"] == {"problem": ""}


async def test_what_a_crash_has_left_is_removed_at_the_start(
    folder: Path, logins: LoginFiles
) -> None:
    (folder / ".uploads").mkdir()
    (folder / ".uploads" / "left").write_bytes(b"half")
    alive, file = locked_file(folder / ".uploads")
    async with place(folder, logins) as here:
        assert [path.name for path in (folder / ".uploads").iterdir()] == [alive.name]
        file.close()
        alive.unlink()
        assert (await post(here.app, form_of(WHEEL))).status == 200
        (folder / ".uploads").rmdir()  # while it runs
        assert (await post(here.app, form_of(SDIST))).status == 200


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_no_bytes_break_it(here: Place, data: st.DataObject) -> None:
    whole = form_of(data.draw(st.sampled_from([WHEEL, SDIST])))
    start = data.draw(st.integers(0, len(whole)))
    count = data.draw(st.sampled_from([0, 1, 5, 200]))
    put = data.draw(st.binary(max_size=20) | st.just(b"\r\n--" + BOUNDARY + b"\r\n"))
    body = data.draw(
        st.just(whole[:start] + put + whole[start + count :]) | st.binary(max_size=500)
    )
    answer = await post(here.app, body, pieces=data.draw(st.sampled_from([7, 100, 10_000])))
    assert answer.status in {200, 400, 409, 413}, answer.text
    assert answer.status == 200 or not here.names or answer.status == 409
    for name in here.names:
        (here.folder / name).unlink()


# --- beside another folder ----------------------------------------------------------------------


@pytest.mark.parametrize("where", [".", "wheels/in/it", "wheels", "apart"])
async def test_a_project_may_be_in_another_folder_too(
    tmp_path: Path, logins: LoginFiles, where: str
) -> None:
    upload, served = tmp_path / where, tmp_path / "wheels"
    upload.mkdir(parents=True, exist_ok=True)
    served.mkdir(exist_ok=True)
    old = make_wheel("acme-tool", "0.9")
    (served / old.filename).write_bytes(old.data)
    async with place(upload, logins, served=served) as here:
        assert (await post(here.app, form_of(WHEEL))).status == 200
        assert await here.listed() == [old.filename, WHEEL.filename]
        again = make_wheel("acme-tool", "0.9", padding=5)
        assert (await post(here.app, form_of(again))).status == 409
        assert (await post(here.app, form_of(old))).status == 200
        assert not (upload / old.filename).exists() or upload == served
