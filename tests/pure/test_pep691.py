"""Project pages in JSON: what is read from them, what is refused, and how they are written."""

import json

import pytest

from pyodide_mirror.index import JSON_TYPE, PageError, parse_page, to_json
from pyodide_mirror.model import Reason

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
    try:
        parse(body, **options)
    except PageError as error:
        return error.finding.reason
    return None


# --- a page as it should be ---------------------------------------------------------------------


def test_a_page_is_read_with_all_its_fields():
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


def test_the_media_type_is_parsed_and_not_compared():
    for content_type in (
        "application/vnd.pypi.simple.v1+json; charset=utf-8",
        "Application/VND.pypi.Simple.v1+JSON",
        " application/vnd.pypi.simple.v1+json ;q=1",
    ):
        assert parse(document(), content_type).repairs == (), content_type


def test_digests_are_normalised_silently():
    page = parse(with_file(hashes={"SHA256": SHA.upper(), "md5": "ab" * 16}))
    assert dict(page.files[0].hashes) == {"sha256": SHA, "md5": "ab" * 16}
    assert page.repairs == ()


def test_the_new_spelling_of_core_metadata_wins_over_the_old_one():
    both = {"core-metadata": False, "dist-info-metadata": {"sha256": SHA}}
    assert only_file(with_file(**both)).metadata is None
    old = with_file(**{"dist-info-metadata": {"sha256": SHA}})
    del old["files"][0]["core-metadata"]
    assert only_file(old).metadata == {"sha256": SHA}


def test_metadata_that_is_denied_is_not_promised():
    for value in (False, None):
        assert only_file(with_file(**{"core-metadata": value})).metadata is None, value


def test_metadata_may_be_promised_without_a_digest():
    assert only_file(with_file(**{"core-metadata": True})).metadata == {}


def test_brackets_in_strings_do_not_count_as_nesting():
    page = parse(document(description="[" * 500 + "{" * 500))
    assert len(page.files) == 1


# --- what is repaired ---------------------------------------------------------------------------


def test_json_under_another_media_type_is_repaired():
    for other in ("application/json", "text/plain", "", "text/html", "application/octet-stream"):
        assert parse(document(), other).repairs == (Reason.WRONG_CONTENT_TYPE,), other


def test_relative_urls_are_resolved_and_noted():
    for written, resolved in {
        "../../files/a-1.whl": "https://mirror.example/files/a-1.whl",
        "/files/a-1.whl": "https://mirror.example/files/a-1.whl",
        "//files.example/a-1.whl": "https://files.example/a-1.whl",
        "a-1.whl": "https://mirror.example/simple/demo/a-1.whl",
    }.items():
        page = parse(with_file(url=written))
        assert page.files[0].url == resolved, written
        assert page.repairs == (Reason.RELATIVE_URLS,), written


def test_relative_urls_start_at_the_final_url():
    file = only_file(with_file(url="../f/a.whl"), url="https://cdn.example/x/simple/demo/")
    assert file.url == "https://cdn.example/x/simple/f/a.whl"


def test_repairs_stand_in_the_order_of_the_table():
    page = parse(with_file(url="/a.whl"), "text/plain")
    assert page.repairs == (Reason.RELATIVE_URLS, Reason.WRONG_CONTENT_TYPE)


# --- what is refused, or left out ---------------------------------------------------------------


def test_what_is_no_sha256_counts_as_none():
    for digest in ("", "xyz", "ab" * 31, "ab" * 33, 7, None):
        assert only_file(with_file(hashes={"sha256": digest})).sha256 == "", digest


def test_broken_json_is_malformed():
    for body in (
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
    ):
        assert reason_of(body) is Reason.MALFORMED, str(body)[:200]


def test_deep_nesting_is_refused_before_it_is_parsed():
    for nest in ("[", '{"a":', '["]]]]",', '["\\"]]]]",', '["\\\\",'):
        assert reason_of('{"files": ' + nest * 20_000) is Reason.MALFORMED, nest


def test_a_file_that_lacks_what_pep_691_demands_is_left_out():
    for missing in ("filename", "url", "hashes"):
        body = document()
        broken = dict(body["files"][0])
        del broken[missing]
        page = parse(document(files=[*body["files"], broken]))
        assert (len(page.files), len(page.unusable)) == (1, 1), missing
        assert reason_of(document(files=[broken])) is Reason.MALFORMED, missing


def test_a_file_with_a_url_that_is_not_safe_to_fetch_is_left_out():
    for url in (
        "javascript:alert(1)",
        "data:text/plain,x",
        "ftp://files.example/demo-1.0.whl",
        "https://user:password@files.example/demo.whl",
        "https://good.example\\@evil.example/demo.whl",
        "https://files.example/a b.whl",
        "http://[::1/demo.whl",
        "https://ex\u00e4mple.org/demo.whl",
    ):
        assert reason_of(with_file(url=url)) is Reason.MALFORMED, url


def test_a_file_whose_name_is_no_file_name_is_left_out():
    for name in ("../../evil-1.0-py3-none-any.whl", "a/b.whl", "a\nb.whl", "<b>", ""):
        assert reason_of(with_file(filename=name)) is Reason.MALFORMED, name


def test_another_major_version_is_refused_and_a_greater_minor_one_accepted():
    assert reason_of(document(meta={"api-version": "2.0"})) is Reason.API_VERSION
    version_2 = "application/vnd.pypi.simple.v2+json"
    assert reason_of(document(), content_type=version_2) is Reason.API_VERSION
    assert parse(document(meta={"api-version": "1.99"})).repairs == ()


def test_a_page_that_is_no_page_of_the_project_is_not_an_index():
    assert reason_of(document(files=[])) is Reason.NOT_AN_INDEX
    assert reason_of(document(name="other")) is Reason.NOT_AN_INDEX
    assert reason_of({"info": {}, "releases": {}, "urls": []}) is Reason.NOT_AN_INDEX
    assert parse(document(name="Demo")).name == "demo"


# --- entries that the browser has read already --------------------------------------------------


def test_checked_entries_are_taken_as_they_are():
    entry = {"filename": "demo-1.0.whl", "url": "https://f.example/a.whl", "hashes": {}}
    body = json.dumps(document(files=[entry, entry | {"yanked": "why", "size": 7}])).encode()
    plain, other = parse_page(body, JSON_TYPE, URL, "demo", checked=True).files
    assert (plain.filename, plain.url, dict(plain.hashes)) == tuple(entry.values())
    assert (plain.metadata, plain.yanked, plain.size, plain.requires_python) == (
        None,
        False,
        None,
        "",
    )
    assert (other.yanked, other.size) == ("why", 7)


def test_a_checked_page_is_still_refused_for_its_name_and_its_version():
    for changes, reason in (
        ({"name": "other"}, Reason.NOT_AN_INDEX),
        ({"meta": {"api-version": "2.0"}}, Reason.API_VERSION),
    ):
        with pytest.raises(PageError) as caught:
            parse_page(
                json.dumps(document(**changes)).encode(), JSON_TYPE, URL, "demo", checked=True
            )
        assert caught.value.finding.reason is reason


# --- written ------------------------------------------------------------------------------------


def test_what_is_written_can_be_read_and_is_the_same():
    page = parse(document())
    again = parse(to_json(page))
    assert again.files == page.files
    assert to_json(again) == to_json(page)


def test_metadata_that_is_not_promised_has_no_key():
    plain = json.loads(to_json(parse(with_file(**{"core-metadata": False}))))
    assert "core-metadata" not in plain["files"][0]
    bare = json.loads(to_json(parse(with_file(**{"core-metadata": True}))))
    assert bare["files"][0]["core-metadata"] is True


def test_version_1_1_is_claimed_only_with_all_versions_and_sizes():
    complete = document(versions=["1.0"])
    unsized = complete | with_file(size=None)
    for page, version in ((complete, "1.1"), (unsized, "1.0"), (document(), "1.0")):
        assert json.loads(to_json(parse(page)))["meta"] == {"api-version": version}


# --- the project's status (PEP 792) -------------------------------------------------------------


def test_a_projects_status_is_read_and_written():
    for given in (
        {"status": "archived", "reason": "see <zother>"},
        {"status": "quarantined"},
        {"status": "something-new", "reason": ""},
    ):
        page = parse(document(versions=["1.0"], **{"project-status": given}))
        assert (page.status, page.status_reason) == (given["status"], given.get("reason", ""))
        written = json.loads(to_json(page))
        assert written["project-status"] == {key: text for key, text in given.items() if text}
        assert written["meta"] == {"api-version": "1.4"}
        assert parse(written) == page


def test_what_is_no_status_is_none():
    for given in (None, "archived", ["archived"], {}, {"status": 7}, {"reason": "x"}):
        page = parse(document(**{"project-status": given}))
        assert page.status == ""
        assert "project-status" not in json.loads(to_json(page))


def test_a_quarantined_project_has_a_page_without_files():
    quarantined = document(files=[], **{"project-status": {"status": "quarantined"}})
    with pytest.raises(PageError) as raised:
        parse(quarantined)
    assert raised.value.page.status == "quarantined"
