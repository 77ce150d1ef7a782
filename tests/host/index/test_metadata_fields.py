"""The fields of core metadata, as `email.parser` reads them."""

import re
from email.parser import BytesHeaderParser

from hypothesis import assume, example, given
from hypothesis import strategies as st

from pyodide_mirror.index import metadata_fields, requirements_of

PIECES = (
    *("Name", "name", "Requires-Dist", "Provides-Extra", "Foo Bar", "X\u00e9"),
    *(": ", ":", " ", "\t", "\n", "\r\n", "\r", "\n\n", "\n \n", "\u2028", "\x0c", "\x85"),
    *("zpkg", "a>=1", "caf\u00e9", "(", ";", '"'),
)
LINES = st.lists(st.sampled_from(PIECES), max_size=20).map("".join)


@given(LINES)
@example("Requires-Dist: a\n  >=1\n")
@example("Summary: one\n\t\nRequires-Dist: a\n")
@example("Summary: a\u2028Requires-Dist: b\n")
def test_fields_are_those_that_email_reads(text: str) -> None:
    assume(not re.search("(^|[\r\n]):", text))  # without a name it is a defect, and no field
    data = f"Metadata-Version: 2.1\n{text}".encode()
    read = [
        (name.lower(), " ".join(str(value).encode(errors="surrogateescape").decode().split()))
        for name, value in BytesHeaderParser().parsebytes(data).raw_items()
    ]
    assert metadata_fields(data) == read


def test_what_other_readers_stumble_over_is_read() -> None:
    assert metadata_fields(b"\xef\xbb\xbfName: zpkg\n") == [("name", "zpkg")]
    assert metadata_fields(b"\n\nName: zpkg\n\nName: no\n") == [("name", "zpkg")]
    assert metadata_fields(b"Summary: caf\xe9\nName: zpkg") == [
        ("summary", "caf\ufffd"),
        ("name", "zpkg"),
    ]
    assert metadata_fields(b"") == metadata_fields(b"no field\nName: zpkg") == []


def test_a_field_of_very_many_lines_takes_no_longer_than_they_are_many() -> None:
    # Each line joined to all before it would be two hundred thousand million bytes.
    [(name, value)] = metadata_fields(b"Summary: a\n" + b" b\n" * 500_000)
    assert (name, len(value)) == ("summary", 1_000_001)


def test_the_description_requires_nothing() -> None:
    metadata = b"Name: zpkg\nrequires-dist: a\n  (>=1); python_version > '3'\n\nRequires-Dist: b\n"
    assert requirements_of(metadata, ()) == ["a>=1"]
