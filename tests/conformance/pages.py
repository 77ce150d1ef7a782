"""Checks of project pages: what is on them, and under which names they are found."""

# ruff: noqa: D403  # micropip, pip and uv are written small, wherever they stand

import hashlib
import io
import re
import zipfile
from typing import Any
from urllib.parse import urljoin, urlsplit

from pyodide_mirror.own_wheels import page_wheels, whole_wheel
from tests.conformance.base import (
    BROWSER,
    HTML_V1,
    JSON_V1,
    MICROPIP,
    ORIGIN,
    PROXIED,
    WORKING,
    Answer,
    Context,
    Group,
    exhibit,
    names_of,
    readable,
    requires_python_is_right,
    status_is,
)
from tests.support.upstreams import BIG, BIG_FILES, EXHIBIT, HOSTILE_REASON, PROJECTS, Kind
from tests.support.wheels import Wheel

PAGES = Group("pages", WORKING)
_JSON: frozenset[Kind] = frozenset({"json"})
_FOLDER: frozenset[Kind] = frozenset({"folder"})
_SLOW = 10.0


@PAGES()
def micropip_gets_pep_691_json(ctx: Context) -> None:
    """micropip reads JSON whole and HTML by a detour that loses metadata, sizes and times."""
    ctx.json_page()


@PAGES()
def the_json_type_has_no_parameter(ctx: Context) -> None:
    """micropip 0.6 to 0.11.0 compares the content type by `==`: a charset breaks it."""
    kind = ctx.page().one("Content-Type")
    assert kind == JSON_V1, f"Content-Type is {kind!r}"


@PAGES()
def the_api_version_is_1(ctx: Context) -> None:
    """PEP 629: a client must refuse another major version, and pip warns of none at all."""
    version = ctx.json_page().get("meta", {}).get("api-version")
    assert isinstance(version, str), f"meta.api-version is {version!r}"
    assert re.fullmatch(r"1\.\d+", version), f"meta.api-version is {version!r}"


@PAGES()
def the_name_is_normalized(ctx: Context) -> None:
    """PEP 691 demands it, and clients compare it with what they asked for."""
    name = ctx.json_page().get("name")
    assert name == EXHIBIT, f"name is {name!r}"


@PAGES()
def every_file_of_the_upstream_is_there(ctx: Context) -> None:
    """A version that is missing cannot be installed."""
    missing = {dist.filename for dist in PROJECTS[EXHIBIT]} - {
        file.filename for file in ctx.read().files
    }
    assert not missing, f"missing: {names_of(missing)}"


@PAGES()
def nothing_is_on_the_page_twice(ctx: Context) -> None:
    """Two entries of one name, with two digests, make the choice an accident."""
    names = [file.filename for file in ctx.read().files]
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, f"twice: {names_of(twice)}"


@PAGES()
def the_versions_are_listed(ctx: Context) -> None:
    """PEP 700: clients may choose a version without reading file names."""
    doc = ctx.json_page()
    versions = doc.get("versions")
    if versions is None and not ctx.can.ours:
        assert doc["meta"]["api-version"] == "1.0", "no versions, which only 1.0 may lack"
        return
    assert versions is not None, "no versions"
    assert set(versions) == {"0.9", "1.0", "1.1"}, f"versions are {versions}"


@PAGES()
def file_urls_are_absolute(ctx: Context) -> None:
    """micropip does not resolve relative URLs of a JSON page, and cannot download them."""
    for item in ctx.entries().values():
        assert urlsplit(item["url"]).scheme in {"http", "https"}, f"url is {item['url']!r}"


@PAGES()
def files_come_from_the_mirror(ctx: Context) -> None:
    """The upstream's file host sends no CORS headers, so a browser cannot read files there."""
    for file in ctx.read().files:
        ctx.inside(file.url)


@PAGES()
def digests_are_right(ctx: Context) -> None:
    """Without SHA-256 micropip installs unverified, and pip cannot check a locked digest."""
    found = {file.filename: file.sha256 for file in ctx.read().files}
    for dist in PROJECTS[EXHIBIT]:
        assert found.get(dist.filename) == dist.sha256, (
            f"{dist.filename} has {found.get(dist.filename)!r}"
        )


@PAGES()
def json_digests_are_in_lower_case(ctx: Context) -> None:
    """micropip takes a digest in capitals for a wrong one."""
    for name, item in ctx.entries().items():
        digest = item["hashes"].get("sha256", "")
        assert re.fullmatch("[0-9a-f]{64}", digest), f"{name} has {digest!r}"


@PAGES()
def requires_python_is_kept(ctx: Context) -> None:
    """Without it pip and uv choose a version that does not run on this Python."""
    requires_python_is_right(ctx, ctx.read())


@PAGES()
def sizes_are_right_where_given(ctx: Context) -> None:
    """A wrong size makes clients refuse the file, or their progress lie (PEP 700)."""
    found = {file.filename: file.size for file in ctx.read().files}
    for dist in PROJECTS[EXHIBIT]:
        size = found.get(dist.filename)
        assert size in {None, len(dist.data)}, f"{dist.filename} has {size}"


@PAGES(on=_JSON | _FOLDER)
def sizes_are_given_where_known(ctx: Context) -> None:
    """Clients show progress, and choose the smallest file, by `size` (PEP 700)."""
    for name, item in ctx.entries().items():
        assert isinstance(item.get("size"), int), f"{name} has no size"


@PAGES(on=_JSON)
def upload_times_are_kept(ctx: Context) -> None:
    """uv's `--exclude-newer` and pip's `--uploaded-prior-to` go by it (PEP 700)."""
    for name, item in ctx.entries().items():
        time = str(item.get("upload-time"))
        assert time.startswith("2020-01-01T00:00:00") and time.endswith("Z"), f"{name}: {time}"  # noqa: PT018


@PAGES(on=PROXIED)
def why_a_file_is_yanked_is_kept(ctx: Context) -> None:
    """Clients must not choose a yanked file by themselves, and tell the reason (PEP 592)."""
    yanked = {file.filename: file.yanked for file in ctx.read().files}
    name = exhibit("-1.0-py3-none-any.whl").filename
    assert yanked.get(name) == HOSTILE_REASON, f"yanked is {yanked.get(name)!r}"


@PAGES(on=PROXIED)
def a_file_yanked_without_reason_is_yanked(ctx: Context) -> None:
    """An empty `data-yanked` is a yank, too (PEP 592); lost, clients install what was withdrawn."""
    yanked = {file.filename: file.yanked for file in ctx.read().files}
    name = exhibit("-0.9-py3-none-any.whl").filename
    assert yanked.get(name, False) is not False, "it is not yanked"


@PAGES()
def nothing_else_is_yanked(ctx: Context) -> None:
    """A file that is yanked by mistake is never chosen."""
    for file in ctx.read().files:
        if "-1.1" in file.filename:
            assert file.yanked is False, f"{file.filename} is yanked: {file.yanked!r}"


@PAGES()
def source_archives_are_listed(ctx: Context) -> None:
    """pip and uv build from them what has no wheel."""
    assert any(file.filename.endswith(".tar.gz") for file in ctx.read().files), "no sdist"


def _promises(item: dict[str, Any]) -> list[Any]:
    return [item[key] for key in ("core-metadata", "data-dist-info-metadata") if key in item]


@PAGES()
def no_metadata_is_ever_promised_by_false(ctx: Context) -> None:
    """micropip takes `core-metadata: false` for a promise, and fails."""
    for name, item in ctx.entries().items():
        assert False not in _promises(item), f"{name} has core-metadata false"


@PAGES(on=_JSON)
def metadata_is_promised_where_the_upstream_has_it(ctx: Context) -> None:
    """Without PEP 658 clients download whole wheels to learn their dependencies."""
    item = ctx.entries()[exhibit().filename]
    assert item.get("core-metadata"), "no core-metadata"


@PAGES("metadata_from_wheels")
def metadata_is_promised_for_every_wheel(ctx: Context) -> None:
    """Where the upstream has none it can be read out of the wheel (PEP 658)."""
    for dist in PROJECTS[EXHIBIT]:
        if isinstance(dist, Wheel):
            item = ctx.entries()[dist.filename]
            assert item.get("core-metadata"), f"no core-metadata for {dist.filename}"


@PAGES()
def digests_of_metadata_are_right(ctx: Context) -> None:
    """Clients check what they fetch against them (PEP 714)."""
    right = {d.filename: d.metadata_sha256 for d in PROJECTS[EXHIBIT] if isinstance(d, Wheel)}
    for file in ctx.read().files:
        if file.metadata:
            got = file.metadata.get("sha256")
            assert got == right.get(file.filename), f"{file.filename} has {got!r}"


@PAGES(on=_JSON)
def a_page_of_4201_files_is_complete(ctx: Context) -> None:
    """Popular projects have that many; a page cut short hides the newest version."""
    answer = ctx.ask(ctx.path_of(BIG), {"Accept": MICROPIP}, timeout=_SLOW)
    status_is(answer, 200)
    assert answer.media_type == JSON_V1, f"the page is {answer.media_type}"
    got = len(answer.json()["files"])
    assert got == BIG_FILES, f"{got} files"


@PAGES(on=PROXIED)
def a_project_that_is_new_upstream_is_found(ctx: Context) -> None:
    """A mirror that goes by the list of projects it once fetched lacks what came since."""
    ctx.page("zoo-not-yet")
    wheel = ctx.upstream.fresh()
    assert ctx.file(wheel).sha256 == wheel.sha256, "it has another digest"


# ---------------------------------------------------------------- names


def _followed(ctx: Context, target: str, headers: dict[str, str]) -> tuple[Answer, str]:
    """Follow redirects within the mirror; return the last answer and its path."""
    for _ in range(4):
        answer = ctx.ask(target, headers)
        if answer.status not in {301, 302, 303, 307, 308}:
            return answer, target
        target = ctx.inside(urljoin(f"{ctx.origin}{target}", answer.one("Location")))
    raise AssertionError("more than three redirects")


def _leads_to_the_page(ctx: Context, target: str) -> None:
    answer, _ = _followed(ctx, target, {"Accept": MICROPIP})
    status_is(answer, 200)
    assert exhibit().filename.encode() in answer.body, "it is not the project's page"


@PAGES()
def names_that_are_not_normalized_lead_to_the_page(ctx: Context) -> None:
    """People type them into requirements and URLs (PEP 503)."""
    for name in ("Zoo_Exhibit", "ZOO.EXHIBIT", "zoo--exhibit"):
        _leads_to_the_page(ctx, ctx.path_of(name))


@PAGES()
def a_missing_final_slash_leads_to_the_page(ctx: Context) -> None:
    """PEP 503 wants it redirected; hand-written clients leave it away."""
    _leads_to_the_page(ctx, ctx.path_of(EXHIBIT).rstrip("/"))


@PAGES()
def an_index_url_with_a_final_slash_works(ctx: Context) -> None:
    """micropip appends `/name/` to an index URL that ends in a slash: two slashes arrive."""
    _leads_to_the_page(ctx, f"{ctx.index}//{EXHIBIT}/")


@PAGES("ours")
def names_are_redirected_for_good_with_their_query(ctx: Context) -> None:
    """One URL for each page, so that caches hold it once (PEP 503); `?format=` survives."""
    for path in (f"{ctx.index}/Zoo_Exhibit/", f"{ctx.index}/{EXHIBIT}", f"{ctx.index}/Zoo.Exhibit"):
        answer = ctx.ask(f"{path}?format=text/html", {"Accept": MICROPIP})
        status_is(answer, 301)
        where = urljoin(f"{ctx.origin}{path}", answer.one("Location"))
        assert ctx.inside(where) == f"{ctx.path_of(EXHIBIT)}?format=text/html", where


@PAGES()
def an_unknown_project_is_404(ctx: Context) -> None:
    """404 alone tells a client that another index may have it; 200 ends the search."""
    status_is(ctx.page("zoo-no-such-thing"), 404)


@PAGES()
def what_is_no_project_name_is_refused(ctx: Context) -> None:
    """Nothing but names goes upstream, and no page is made of anything else."""
    for name in ("-", "zoo%20exhibit", "zoo%00exhibit", "%3Cscript%3E", "zoo!", "%C3%A4"):
        answer = ctx.page(name)
        # A redirect to the name that was meant is as good.
        assert 300 <= answer.status < 500, f"{name} has status {answer.status}"


@PAGES("ours")
def the_alias_of_the_public_snippet_works(ctx: Context) -> None:
    """Who runs today's public Cloudflare snippet can replace it without telling anybody."""
    _leads_to_the_page(ctx, f"/pypi/simple/{EXHIBIT}/")


@PAGES()
def the_root_lists_projects(ctx: Context) -> None:
    """Tools that look at the whole index, and people who try its URL, find an answer (PEP 691)."""
    answer = ctx.ask(f"{ctx.index}/", {"Accept": MICROPIP})
    status_is(answer, 200)
    if answer.media_type == JSON_V1:
        doc = answer.json()
        assert str(doc["meta"]["api-version"]).startswith("1."), "no API version"
        assert all(isinstance(one["name"], str) for one in doc["projects"]), "no names"
    else:
        assert answer.media_type in {"text/html", HTML_V1}, f"it is {answer.media_type}"


@PAGES(on=_FOLDER)
def the_root_lists_what_is_in_the_folder(ctx: Context) -> None:
    """People look there for what they may install."""
    answer = ctx.ask(f"{ctx.index}/", {"Accept": MICROPIP})
    status_is(answer, 200)
    for project in PROJECTS:
        assert project.encode() in answer.body, f"{project} is not listed"


@PAGES("ours")
def the_front_page_and_the_health_check_answer(ctx: Context) -> None:
    """People and load balancers ask whether it is there."""
    front = ctx.ask("/", {"Accept": BROWSER})
    status_is(front, 200)
    assert front.media_type == "text/html", f"the front page is {front.media_type}"
    status_is(ctx.ask("/healthz"), 200)


@PAGES("serves_itself")
def our_own_wheel_can_be_had(ctx: Context) -> None:
    """A browser that reaches nothing else installs `pyodide_mirror` from here, by URL or name."""
    listed = ctx.entries("pyodide-mirror")
    for name in *page_wheels(), whole_wheel()[0]:
        assert name in listed, f"listed are {names_of(listed)}"
        wheel = ctx.ask(f"/{name}")
        status_is(wheel, 200)
        readable(wheel)
        with zipfile.ZipFile(io.BytesIO(wheel.body)) as archive:
            assert "pyodide_mirror/__init__.py" in archive.namelist(), "it is not our wheel"
        digest = listed[name]["hashes"]["sha256"]
        assert digest == hashlib.sha256(wheel.body).hexdigest(), "it has another digest"
        again = ctx.ask(ctx.inside(listed[name]["url"]))
        assert again.body == wheel.body, "there are two of them"


@PAGES()
def file_urls_do_not_depend_on_the_client(ctx: Context) -> None:
    """A header that anyone may send must not lead the next client to another host's files."""
    ctx.page(X_Forwarded_Host="evil.example", Forwarded="host=evil.example")
    answer = ctx.page(
        X_Forwarded_Host="evil.example", Forwarded="host=evil.example", X_Host="evil.example"
    )
    assert b"evil.example" not in answer.body, "X-Forwarded-Host decides where files are"
    assert ORIGIN.encode() not in answer.body, "Origin decides where files are"
