"""Project pages in HTML: what is read from them, and what is refused."""

import pytest

from pyodide_mirror.index import JSON_TYPE, PageError, parse_page, to_json
from pyodide_mirror.model import Reason

URL = "https://mirror.example/simple/demo/"
SHA = "0123456789abcdef" * 4
WHEEL = "demo-1.0-py3-none-any.whl"


def html(*anchors, head=""):
    return f"<!DOCTYPE html><html><head>{head}</head><body>{''.join(anchors)}</body></html>"


def parse(body):
    return parse_page(body.encode(), "text/html", URL, "demo")


def only_file(body):
    (file,) = parse(body).files
    return file


def test_a_page_is_read_and_noted():
    page = parse(html(f'<a href="../../f/{WHEEL}#sha256={SHA}">{WHEEL}</a>'))
    (file,) = page.files
    assert (file.filename, file.sha256) == (WHEEL, SHA)
    assert file.url == f"https://mirror.example/f/{WHEEL}"
    assert page.repairs == (Reason.HTML_ONLY,)


def test_attributes_are_read():
    anchor = (
        f'<a href="/{WHEEL}" data-requires-python="&gt;=3.8" data-yanked="broken"'
        f' data-core-metadata="sha256={SHA}" data-dist-info-metadata="false">{WHEEL}</a>'
    )
    file = only_file(html(anchor))
    assert (file.requires_python, file.yanked) == (">=3.8", "broken")
    assert file.metadata == {"sha256": SHA}


def test_the_old_attribute_for_metadata():
    for attribute, metadata in {
        'data-dist-info-metadata="true"': {},
        "data-dist-info-metadata": {},
        'data-dist-info-metadata="false"': None,
        f'data-dist-info-metadata="sha256={SHA}"': {"sha256": SHA},
        "": None,
    }.items():
        file = only_file(html(f'<a href="/{WHEEL}" {attribute}>{WHEEL}</a>'))
        assert file.metadata == metadata, attribute


def test_base_href_counts_once():
    head = '<base href="https://files.example/x/"><base href="https://evil.example/">'
    file = only_file(html(f'<a href="{WHEEL}">{WHEEL}</a>', head=head))
    assert file.url == f"https://files.example/x/{WHEEL}"


def test_the_name_is_the_last_part_of_the_links_path_whatever_the_text_says():
    """As pip and uv read it: they never look at the text."""
    local, encoded = ("demo-1.0+cpu-py3-none-any.whl", "demo-1.0%2Bcpu-py3-none-any.whl")
    for href, text, filename in [
        (f"/f/{WHEEL}?x=1#sha256={SHA}", "demo 1.0 (wheel)", WHEEL),
        (f"/f/{WHEEL}#sha256={SHA}", f"cpu/{WHEEL}", WHEEL),
        (f"/f/{WHEEL}", "demo-2.0.tar.gz", WHEEL),
        (f"/f/{WHEEL}", f"other-{WHEEL}", WHEEL),
        (f"/f/{WHEEL}", "", WHEEL),
        (f"/f/{WHEEL}?file=demo-2.0.zip", WHEEL, WHEEL),
        (f"/f/{encoded}", encoded, local),
        (f"/f/{encoded}", local, local),
        (f"/f/{local}", encoded, local),
        ("/f/demo-1.0%2Etar.gz", "demo", "demo-1.0.tar.gz"),
    ]:
        assert only_file(html(f'<A HREF="{href}">{text}</A>')).filename == filename, (href, text)


def test_a_link_without_a_file_name_has_the_text_for_one():
    """PEP 503: the text MUST be the name. Some indexes link to /download/7, say."""
    for href in ("/download/7", f"/get?file={WHEEL}", "/get/", "/"):
        file = only_file(html(f'<a href="{href}"> {WHEEL} </a>'))
        assert (file.filename, file.url) == (WHEEL, f"https://mirror.example{href}")


def test_a_name_is_decoded_once():
    page = parse(html(f'<a href="/demo-1.0%252Bcpu.zip">x</a><a href="/{WHEEL}">x</a>'))
    assert [file.filename for file in page.files] == [WHEEL]
    assert len(page.unusable) == 1


def test_unclosed_anchors_and_odd_markup_are_read():
    body = f"<a href=/{WHEEL}>{WHEEL}<a href=/demo-2.0.tar.gz>demo-2.0.tar.gz"
    assert [file.filename for file in parse(body).files] == [WHEEL, "demo-2.0.tar.gz"]


def test_a_tag_has_room_for_a_signed_url():
    """The rule for the URL itself is split_http_url's."""
    anchor = f'<a data-yanked="{"a" * 19_000}" href="/{WHEEL}">{WHEEL}</a>'
    assert only_file(html(anchor)).filename == WHEEL


def test_another_repository_version_is_refused():
    head = '<meta name="pypi:repository-version" content="2.0">'
    with pytest.raises(PageError) as caught:
        parse(html(f'<a href="/{WHEEL}">{WHEEL}</a>', head=head))
    assert caught.value.finding.reason is Reason.API_VERSION


def test_what_has_no_files_of_the_project_is_not_an_index():
    for body in (
        "",
        "welcome",
        html("<form><input name=password></form>", '<a href="/manual.zip">manual.zip</a>'),
        html('<a href="/other-1.0.tar.gz">other-1.0.tar.gz</a>'),
        html('<a href="http://[">broken</a>'),
    ):
        with pytest.raises(PageError) as caught:
            parse(body)
        assert caught.value.finding.reason is Reason.NOT_AN_INDEX, body


def test_links_that_must_not_be_fetched_are_left_out():
    page = parse(
        html(f'<a href="javascript:x/{WHEEL}">{WHEEL}</a>', f'<a href="/{WHEEL}">{WHEEL}</a>')
    )
    assert (len(page.files), len(page.unusable)) == (1, 1)


def test_the_repaired_page_is_pep_691_and_stable():
    page = parse(html(f'<a href="/{WHEEL}#sha256={SHA}" data-yanked>{WHEEL}</a>'))
    repaired = to_json(page)
    again = parse_page(repaired, JSON_TYPE, URL, "demo")
    assert again.repairs == ()
    assert again.files == page.files
    assert to_json(again) == repaired


def test_the_projects_status_is_in_meta_tags():
    head = (
        '<meta name="pypi:project-status" content="archived">'
        '<meta name="pypi:project-status-reason" content="see &lt;zother&gt;">'
    )
    page = parse(html(f'<a href="/{WHEEL}">{WHEEL}</a>', head=head))
    assert (page.status, page.status_reason) == ("archived", "see <zother>")
    with pytest.raises(PageError) as raised:
        parse(html(head=head.replace("archived", "quarantined")))
    assert raised.value.page.status == "quarantined"
