"""Project pages: what is read from them, and what is refused."""

import json

import pytest

from pyodide_mirror.index import JSON_TYPE, PageError, media_type, metadata_url, parse_page, to_json
from pyodide_mirror.model import Reason, normalize

URL = "https://mirror.example/simple/demo/"
SHA = "0123456789abcdef" * 4


def document(**changes):
    file = {
        "filename": "demo-1.0-py3-none-any.whl",
        "url": "https://files.example/demo-1.0-py3-none-any.whl",
        "hashes": {"sha256": SHA},
        "size": 1234,
        "requires-python": ">=3.8",
        "core-metadata": {"sha256": SHA},
        "upload-time": "2026-01-02T03:04:05Z",
    }
    return {"meta": {"api-version": "1.1"}, "name": "demo", "files": [file]} | changes


def with_file(**changes):
    base = document()
    return document(files=[base["files"][0] | changes])


def parse(body, content_type=JSON_TYPE, url=URL):
    if not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    return parse_page(body, content_type, url, "demo")


def only_file(body, **options):
    (file,) = parse(body, **options).files
    return file


def reason_of(body, **options):
    with pytest.raises(PageError) as caught:
        parse(body, **options)
    return caught.value.finding.reason


def test_a_json_page_is_read_with_all_its_fields():
    file = only_file(document())
    assert file.filename == "demo-1.0-py3-none-any.whl"
    assert file.url == "https://files.example/demo-1.0-py3-none-any.whl"
    assert file.sha256 == SHA
    assert file.size == 1234
    assert file.requires_python == ">=3.8"
    assert dict(file.metadata) == {"sha256": SHA}
    assert file.upload_time == "2026-01-02T03:04:05Z"
    assert file.yanked is False
    assert parse(document()).repairs == ()


@pytest.mark.parametrize(
    "content_type",
    [
        "application/vnd.pypi.simple.v1+json; charset=utf-8",
        "Application/VND.pypi.Simple.v1+JSON",
        " application/vnd.pypi.simple.v1+json ;q=1",
    ],
)
def test_the_media_type_is_parsed_not_compared(content_type):
    assert parse(document(), content_type).repairs == ()


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "", "text/html", "application/octet-stream"]
)
def test_json_under_another_media_type_is_repaired(content_type):
    assert parse(document(), content_type).repairs == (Reason.WRONG_CONTENT_TYPE,)


@pytest.mark.parametrize(
    ("written", "resolved"),
    [
        ("../../files/a-1.whl", "https://mirror.example/files/a-1.whl"),
        ("/files/a-1.whl", "https://mirror.example/files/a-1.whl"),
        ("//files.example/a-1.whl", "https://files.example/a-1.whl"),
        ("a-1.whl", "https://mirror.example/simple/demo/a-1.whl"),
    ],
)
def test_relative_file_urls_are_resolved_and_noted(written, resolved):
    page = parse(with_file(url=written))
    assert page.files[0].url == resolved
    assert page.repairs == (Reason.RELATIVE_URLS,)


def test_relative_urls_start_at_the_final_url():
    file = only_file(with_file(url="../f/a.whl"), url="https://cdn.example/x/simple/demo/")
    assert file.url == "https://cdn.example/x/simple/f/a.whl"


def test_repairs_stand_in_the_order_of_the_table():
    page = parse(with_file(url="/a.whl"), "text/plain")
    assert page.repairs == (Reason.RELATIVE_URLS, Reason.WRONG_CONTENT_TYPE)


def test_digests_are_normalised_silently():
    page = parse(with_file(hashes={"SHA256": SHA.upper(), "md5": "ab" * 16}))
    assert dict(page.files[0].hashes) == {"sha256": SHA, "md5": "ab" * 16}
    assert page.repairs == ()


@pytest.mark.parametrize("digest", ["", "xyz", "ab" * 31, "ab" * 33, 7, None])
def test_what_is_no_sha256_counts_as_none(digest):
    assert only_file(with_file(hashes={"sha256": digest})).sha256 == ""


@pytest.mark.parametrize("value", [False, None])
def test_metadata_that_is_denied_is_not_promised(value):
    assert only_file(with_file(**{"core-metadata": value})).metadata is None


def test_metadata_may_be_promised_without_a_digest():
    assert only_file(with_file(**{"core-metadata": True})).metadata == {}


def test_the_new_spelling_of_core_metadata_wins_over_the_old_one():
    both = {"core-metadata": False, "dist-info-metadata": {"sha256": SHA}}
    assert only_file(with_file(**both)).metadata is None
    old = with_file(**{"dist-info-metadata": {"sha256": SHA}})
    del old["files"][0]["core-metadata"]
    assert only_file(old).metadata == {"sha256": SHA}


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        '"text"',
        "{}",
        '{"message": "Not Found"}',
        b'{"meta": \xff}',
        document(meta={}),
        document(meta={"api-version": "banana"}),
        document(meta={"api-version": 1.0}),
        document(name=7),
        document(files={}),
        document(files=[7]),
        document(files=[{}]),
        '{"meta": ' + "9" * 5000 + "}",
    ],
)
def test_broken_json_is_malformed(body):
    assert reason_of(body) is Reason.MALFORMED


@pytest.mark.parametrize("nest", ["[", '{"a":', '["]]]]",', '["\\"]]]]",', '["\\\\",'])
def test_deep_nesting_is_refused_before_it_is_parsed(nest):
    assert reason_of('{"files": ' + nest * 20_000) is Reason.MALFORMED


def test_brackets_in_strings_do_not_count_as_nesting():
    page = parse(document(description="[" * 500 + "{" * 500))
    assert len(page.files) == 1


@pytest.mark.parametrize("missing", ["filename", "url", "hashes"])
def test_a_file_that_lacks_what_pep_691_demands_is_left_out(missing):
    body = document()
    broken = dict(body["files"][0])
    del broken[missing]
    page = parse(document(files=[*body["files"], broken]))
    assert len(page.files) == 1
    assert len(page.unusable) == 1
    assert reason_of(document(files=[broken])) is Reason.MALFORMED


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/plain,x",
        "ftp://files.example/demo-1.0.whl",
        "https://user:password@files.example/demo.whl",
        "https://good.example\\@evil.example/demo.whl",
        "https://files.example/a b.whl",
        "http://[::1/demo.whl",
        "https://ex\u00e4mple.org/demo.whl",
    ],
)
def test_a_file_with_a_url_that_is_not_safe_to_fetch_is_left_out(url):
    assert reason_of(with_file(url=url)) is Reason.MALFORMED


@pytest.mark.parametrize(
    "name", ["../../evil-1.0-py3-none-any.whl", "a/b.whl", "a\nb.whl", "<b>", ""]
)
def test_a_file_whose_name_is_no_file_name_is_left_out(name):
    assert reason_of(with_file(filename=name)) is Reason.MALFORMED


def test_another_major_version_is_refused_and_a_greater_minor_one_accepted():
    assert reason_of(document(meta={"api-version": "2.0"})) is Reason.API_VERSION
    assert (
        reason_of(document(), content_type="application/vnd.pypi.simple.v2+json")
        is Reason.API_VERSION
    )
    assert parse(document(meta={"api-version": "1.99"})).repairs == ()


def test_a_page_that_is_no_page_of_the_project_is_not_an_index():
    assert reason_of(document(files=[])) is Reason.NOT_AN_INDEX
    assert reason_of(document(name="other")) is Reason.NOT_AN_INDEX
    assert reason_of({"info": {}, "releases": {}, "urls": []}) is Reason.NOT_AN_INDEX
    assert parse(document(name="De__mo"[:2] + "mo")).name == "demo"


# --- HTML ---------------------------------------------------------------------------------------


def html(*anchors, head=""):
    return f"<!DOCTYPE html><html><head>{head}</head><body>{''.join(anchors)}</body></html>"


WHEEL = "demo-1.0-py3-none-any.whl"


def test_an_html_page_is_read_and_noted():
    page = parse(html(f'<a href="../../f/{WHEEL}#sha256={SHA}">{WHEEL}</a>'), "text/html")
    (file,) = page.files
    assert (file.filename, file.sha256) == (WHEEL, SHA)
    assert file.url == f"https://mirror.example/f/{WHEEL}"
    assert page.repairs == (Reason.HTML_ONLY,)


def test_html_attributes_are_read():
    anchor = (
        f'<a href="/{WHEEL}" data-requires-python="&gt;=3.8" data-yanked="broken"'
        f' data-core-metadata="sha256={SHA}" data-dist-info-metadata="false">{WHEEL}</a>'
    )
    file = only_file(html(anchor), content_type="text/html")
    assert (file.requires_python, file.yanked, file.metadata) == (
        ">=3.8",
        "broken",
        {"sha256": SHA},
    )


@pytest.mark.parametrize(
    ("attribute", "metadata"),
    [
        ('data-dist-info-metadata="true"', {}),
        ("data-dist-info-metadata", {}),
        ('data-dist-info-metadata="false"', None),
        (f'data-dist-info-metadata="sha256={SHA}"', {"sha256": SHA}),
        ("", None),
    ],
)
def test_the_old_attribute_for_metadata(attribute, metadata):
    anchor = f'<a href="/{WHEEL}" {attribute}>{WHEEL}</a>'
    assert only_file(html(anchor), content_type="text/html").metadata == metadata


def test_base_href_counts_once():
    head = '<base href="https://files.example/x/"><base href="https://evil.example/">'
    file = only_file(html(f'<a href="{WHEEL}">{WHEEL}</a>', head=head), content_type="text/html")
    assert file.url == f"https://files.example/x/{WHEEL}"


def test_the_name_comes_from_the_link_where_the_text_is_no_file_name():
    anchor = f'<A HREF="/f/{WHEEL}?x=1#sha256={SHA}">demo 1.0 (wheel)</A>'
    assert only_file(html(anchor), content_type="text/html").filename == WHEEL


def test_unclosed_anchors_and_odd_markup_are_read():
    body = f"<a href=/{WHEEL}>{WHEEL}<a href=/demo-2.0.tar.gz>demo-2.0.tar.gz"
    names = [file.filename for file in parse(body, "text/html").files]
    assert names == [WHEEL, "demo-2.0.tar.gz"]


def test_repository_version_of_html():
    head = '<meta name="pypi:repository-version" content="2.0">'
    body = html(f'<a href="/{WHEEL}">{WHEEL}</a>', head=head)
    assert reason_of(body, content_type="text/html") is Reason.API_VERSION


@pytest.mark.parametrize(
    "body",
    [
        "",
        "welcome",
        html("<form><input name=password></form>", '<a href="/manual.zip">manual.zip</a>'),
        html('<a href="/other-1.0.tar.gz">other-1.0.tar.gz</a>'),
        html('<a href="http://[">broken</a>'),
    ],
)
def test_html_without_files_of_the_project_is_not_an_index(body):
    assert reason_of(body, content_type="text/html") is Reason.NOT_AN_INDEX


def test_html_links_that_must_not_be_fetched_are_left_out():
    body = html(f'<a href="javascript:x/{WHEEL}">{WHEEL}</a>', f'<a href="/{WHEEL}">{WHEEL}</a>')
    page = parse(body, "text/html")
    assert len(page.files) == 1
    assert len(page.unusable) == 1


# --- back to JSON -------------------------------------------------------------------------------


def test_the_repaired_page_is_pep_691_and_stable():
    body = html(f'<a href="/{WHEEL}#sha256={SHA}" data-yanked>{WHEEL}</a>')
    repaired = to_json(parse(body, "text/html"))
    again = parse(repaired)
    assert again.repairs == ()
    assert again.files == parse(body, "text/html").files
    assert to_json(again) == repaired


def test_metadata_that_is_not_promised_has_no_key():
    plain = json.loads(to_json(parse(with_file(**{"core-metadata": False}))))
    assert "core-metadata" not in plain["files"][0]
    bare = json.loads(to_json(parse(with_file(**{"core-metadata": True}))))
    assert bare["files"][0]["core-metadata"] is True


# --- small rules --------------------------------------------------------------------------------


def test_metadata_url_goes_before_a_query():
    file = only_file(with_file(url="https://files.example/a.whl?sig=1"))
    assert metadata_url(file) == "https://files.example/a.whl.metadata?sig=1"


def test_names_are_normalized():
    assert normalize("Zope.Interface__x--y") == "zope-interface-x-y"


def test_media_type():
    assert media_type("Text/HTML; charset=gbk") == "text/html"
    assert media_type("") == ""
