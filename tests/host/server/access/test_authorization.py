"""What the Authorization header says, whatever it says."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyodide_mirror.server.access.authorization import Password, Token, read_authorization
from tests.support.logins import basic


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("Basic YW5uOmI=", Password("ann", "b")),
        ("bAsIc   YW5uOmI=", Password("ann", "b")),  # as nginx takes it
        ("Basic YW5uOmI6Yw==", Password("ann", "b:c")),
        ("Basic YW5uOg==", Password("ann", "")),
        (basic("ann", "ünï")["authorization"], Password("ann", "ünï")),
        (basic("ann", "ünï", "latin-1")["authorization"], Password("ann", "ünï")),  # pip's
        (basic("__token__", "abc")["authorization"], Token("abc")),
        ("Bearer a-b.c_d~e+f/g==", Token("a-b.c_d~e+f/g==")),
    ],
)
def test_it_is_understood(header: str, meant: object) -> None:
    assert read_authorization([header]) == meant


def test_none_is_none() -> None:
    assert read_authorization([]) is None


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ([""], "neither Basic nor Bearer"),
        (["Digest a"], "neither Basic nor Bearer"),
        (["Basic"], "no proper user"),
        (["Basic !"], "no proper base64"),
        (["Basic YW5uOmI"], "no proper base64"),
        (["Basic YW5u"], "no proper user"),
        ([basic("ann", "a\0b")["authorization"]], "no proper user"),
        ([basic("ann", "a\nb")["authorization"]], "no proper user"),
        (["Bearer"], "no proper token"),
        (["Bearer a b"], "no proper token"),
        (["Bearer a,b"], "no proper token"),
        (["Bearer " + "a" * 9000], "has more than 8,192 characters"),
        (["Bearer a", "Bearer a"], "several"),
    ],
)
def test_what_is_wrong_is_said(headers: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_authorization(headers)


def said_or_refused(header: str) -> Password | Token | str:
    """What a header says, or why it is refused."""
    try:
        found = read_authorization([header])
    except ValueError as error:
        return str(error)
    assert found is not None
    return found


@given(
    st.text(st.characters(max_codepoint=255)) | st.binary().map(lambda one: one.decode("latin1"))
)
def test_whatever_comes_is_understood_or_refused_without_a_quotation(said: str) -> None:
    for scheme in ("", "Basic ", "Bearer "):
        for header in (scheme + said, scheme + base64.b64encode(said.encode("latin1")).decode()):
            found = said_or_refused(header)
            if isinstance(found, str):
                assert len(said) < 12 or said not in found
            else:
                assert all(each.isprintable() or ord(each) > 127 for each in "".join(found))


# RFC 7617: no control characters, and no colon in a user's name.
PLAIN = st.text(st.characters(exclude_categories=["Cc", "Cs"]))


@given(PLAIN.filter(lambda user: ":" not in user), PLAIN)
def test_a_user_and_a_password_arrive_as_they_were(user: str, password: str) -> None:
    meant = Token(password) if user == "__token__" else Password(user, password)
    assert read_authorization([basic(user, password)["authorization"]]) == meant
