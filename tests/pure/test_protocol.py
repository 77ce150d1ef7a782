"""The words of the Simple API: media types and the URLs of metadata."""

from pyodide_mirror.index import media_type, metadata_url
from pyodide_mirror.model import File


def test_a_media_type_is_read_without_its_parameters():
    assert media_type("Text/HTML; charset=gbk") == "text/html"
    assert media_type("") == ""


def test_the_metadata_of_a_file_is_beside_it():
    for url, metadata in {
        "https://files.example/a.whl": "https://files.example/a.whl.metadata",
        "https://files.example/a.whl?sig=1": "https://files.example/a.whl.metadata?sig=1",
    }.items():
        assert metadata_url(File(filename="a.whl", url=url, hashes={})) == metadata
