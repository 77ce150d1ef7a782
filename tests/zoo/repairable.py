"""Animals that are usable because their pages are repaired."""

from tests.zoo.changes import (
    also,
    both,
    failing,
    hashed,
    header,
    in_files,
    in_manner,
    metadata_key,
    moved,
    no_cors,
    replaced,
    says,
    then,
    urls,
    when,
    without,
)
from tests.zoo.healthy import HOSTILE_ENTRIES
from tests.zoo.parts import HTML_V1, WELCOME, Animal, Visit, as_html, in_node, not_found
from tests.zoo.server import Manner, Response


def _below_deep(visit: Visit, response: Response) -> Response:
    return response if visit.request.path.startswith("/deep/er/") else not_found()


HTML: tuple[Animal, ...] = (
    Animal("html", "PEP 503 HTML with absolute URLs", "html-only", render=as_html()),
    Animal(
        "html-relative",
        "PEP 503 HTML with relative URLs",
        "html-only",
        document=urls("../../files/{filename}"),
        render=as_html(),
    ),
    *(
        Animal(
            name,
            f"PEP 503 HTML with URLs relative to its {kind} <base>",
            "html-only",
            document=urls("files/{filename}"),
            render=as_html(head=f'<base href="{base}">'),
            file=when(lambda visit: not visit.request.path.startswith("/inner/"), failing(404)),
        )
        for name, kind, base in (
            ("html-base", "absolute", "{here}/inner/"),
            ("html-rooted-base", "relative", "/inner/"),
        )
    ),
    Animal(
        "html-metadata",
        "PEP 503 HTML that promises metadata under both names",
        "html-only",
        render=as_html(attributes=("data-dist-info-metadata", "data-core-metadata")),
    ),
    Animal(
        "html-v1-type",
        "HTML under PEP 691's own HTML type",
        "html-only",
        render=as_html(),
        page=header("Content-Type", HTML_V1),
    ),
    Animal(
        "html-redirect",
        "PEP 503 HTML, relative, behind a redirect: to be resolved against the final URL",
        "html-only",
        document=urls("../../files/{filename}"),
        render=as_html(),
        page=moved("/deep/er"),
        file=_below_deep,
    ),
    Animal(
        "html-shouting",
        "PEP 503 HTML as of 1995: capitals, no quotes, nothing closed",
        "html-only",
        render=as_html(),
        page=then(
            replaced(b"<a href=", b"<A\n HREF="), replaced(b"</a>", b""), replaced(b"<br>", b"<BR>")
        ),
    ),
    Animal(
        "html-script-links",
        "PEP 503 HTML with script links and markup among the files",
        "html-only",
        document=also(*HOSTILE_ENTRIES),
        render=as_html(),
    ),
    Animal(
        "html-no-hashes",
        "PEP 503 HTML without digests",
        "html-only no-hashes",
        render=as_html(fragment=""),
    ),
    Animal(
        "html-md5",
        "PEP 503 HTML with MD5 alone",
        "html-only no-hashes",
        document=hashed("md5"),
        render=as_html(fragment="md5"),
    ),
    Animal(
        "html-metadata-broken",
        "PEP 503 HTML that promises metadata and has none",
        "html-only metadata-broken",
        render=as_html(attributes=("data-core-metadata",)),
        metadata=failing(404),
    ),
)

REPAIRED: tuple[Animal, ...] = (
    Animal(
        "relative-urls",
        "PEP 691 with URLs relative to the page",
        "relative-urls",
        document=urls("../../files/{filename}"),
    ),
    Animal(
        "rooted-urls",
        "PEP 691 with URLs that begin with a slash",
        "relative-urls",
        document=urls("/files/{filename}"),
    ),
    Animal(
        "schemeless-urls",
        "PEP 691 with URLs that begin with two slashes",
        "relative-urls",
        document=urls("//{authority}/files/{filename}"),
    ),
    Animal(
        "relative-redirect",
        "PEP 691, relative, behind a redirect: to be resolved against the final URL",
        "relative-urls",
        document=urls("../../files/{filename}"),
        page=moved("/deep/er"),
        file=_below_deep,
    ),
    *(
        Animal(
            name,
            f"PEP 691 under {content_type}",
            "wrong-content-type",
            page=header("Content-Type", content_type),
        )
        for name, content_type in (
            ("plain-json-type", "application/json"),
            ("text-type", "text/plain; charset=utf-8"),
            ("html-type", "text/html"),
            ("binary-type", "application/octet-stream"),
        )
    ),
    Animal(
        "no-type",
        "PEP 691 without a content type",
        "wrong-content-type",
        page=without("Content-Type"),
    ),
    Animal(
        "metadata-missing",
        "promised metadata is a readable 404",
        "metadata-broken",
        metadata=failing(404),
    ),
    Animal(
        "metadata-no-cors",
        "promised metadata may not be read",
        "metadata-broken",
        in_node("ok"),
        metadata=no_cors,
    ),
    Animal(
        "metadata-wrong-digest",
        "metadata that is not what the page says",
        "metadata-broken",
        metadata=replaced(b"Summary:", b"Keywords:"),
    ),
    Animal(
        "metadata-welcome",
        "metadata promised without a digest is a welcome page with 200",
        "metadata-broken",
        document=metadata_key(old=True),
        metadata=says(WELCOME, "text/html"),
    ),
    Animal(
        "metadata-hangs",
        "promised metadata never comes",
        "metadata-broken",
        metadata=in_manner(Manner.HANG),
        doubt="Nothing says 'missing', but waiting is over: the wheel itself will do.",
    ),
    Animal(
        "no-hashes",
        "`hashes` is empty everywhere",
        "no-hashes",
        document=in_files({"hashes": {}}),
    ),
    Animal("md5-only", "MD5 alone", "no-hashes", document=hashed("md5")),
    Animal(
        "relative-and-mistyped",
        "relative URLs under application/json",
        "relative-urls wrong-content-type",
        document=urls("../../files/{filename}"),
        page=header("Content-Type", "application/json"),
    ),
    Animal(
        "relative-and-metadata-missing",
        "relative URLs and no metadata, as a mirror in China had it",
        "relative-urls metadata-broken",
        document=urls("../../files/{filename}"),
        metadata=failing(404),
    ),
    Animal(
        "mistyped-and-unhashed",
        "application/json without digests",
        "wrong-content-type no-hashes",
        document=in_files({"hashes": {}}),
        page=header("Content-Type", "application/json"),
    ),
    Animal(
        "all-but-html",
        "everything at once that can be repaired in JSON",
        "relative-urls wrong-content-type metadata-broken no-hashes",
        document=both(urls("../../files/{filename}"), in_files({"hashes": {}})),
        page=header("Content-Type", "text/plain"),
        metadata=failing(404),
    ),
)
