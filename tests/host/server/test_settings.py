"""Each setting is checked before the server begins, and what is wrong is said in a sentence."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror.cdns import CDNS
from pyodide_mirror.cli import options
from pyodide_mirror.mirrors import MIRRORS
from pyodide_mirror.server import create_app
from pyodide_mirror.server.settings import (
    DEFAULT_CACHE_SIZE,
    DEFAULT_TIMEOUT,
    UPSTREAMS_VARIABLE,
    make,
)

SECRET = "hunter2-is-secret"  # noqa: S105  # of nobody


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(UPSTREAMS_VARIABLE, raising=False)


def test_by_default_it_is_pypi_for_all_without_a_folder() -> None:
    found = make()
    assert found.upstreams == (MIRRORS[0].index_url,)
    assert found.folders == ()
    assert found.cache is None
    assert found.allow_origins == ("*",)
    assert found.public_url == ""
    assert (found.cache_size, found.timeout) == (DEFAULT_CACHE_SIZE, DEFAULT_TIMEOUT)


def test_no_upstreams_is_offline() -> None:
    assert make(upstreams=[]).upstreams == ()


def test_by_default_the_known_cdns_are_asked_unless_it_is_offline() -> None:
    assert make().cdns == CDNS
    assert make(upstreams=["https://a.example/simple"]).cdns == CDNS
    assert make(upstreams=[]).cdns == ()
    assert make(cdns=[]).cdns == ()
    twice = ["https://a.example/v{version}", "https://A.example:443/v{version}/", CDNS[0]]
    found = make(upstreams=[], cdns=twice).cdns
    assert [cdn.base_url for cdn in found] == ["https://a.example/v{version}/", CDNS[0].base_url]


def test_upstreams_are_normalized_and_named_once() -> None:
    found = make(upstreams=["HTTPS://A.example:443/simple/", "https://a.example/simple"])
    assert found.upstreams == ("https://a.example/simple",)


def test_what_is_wrong_is_said() -> None:
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"upstreams": "https://a.example"}, TypeError, "several index URLs, not one string"),
        ({"upstreams": ["ftp://a.example"]}, ValueError, "does not start with https:// or http://"),
        ({"upstreams": ["a.example/simple"]}, ValueError, "does not start with https:// or http"),
        ({"upstreams": [""]}, ValueError, "not a usable index URL"),
        ({"upstreams": ["https://a.example/?x=1"]}, ValueError, "has a query or a fragment"),
        ({"upstreams": ["https://a b.example/"]}, ValueError, "contains the character ' '"),
        ({"upstreams": [7]}, TypeError, "index URL must be a string, not 7"),
        ({"cache_size": -1}, ValueError, "cache_size must be a number of bytes, not -1"),
        ({"cache_size": 1.5}, ValueError, "cache_size must be a number of bytes, not 1.5"),
        ({"cache_size": True}, ValueError, "cache_size must be a number of bytes, not True"),
        ({"cache_size": "2G"}, ValueError, "cache_size must be a number of bytes, not '2G'"),
        ({"timeout": 0}, ValueError, "timeout must be a positive number of seconds, not 0"),
        ({"timeout": -1}, ValueError, "timeout must be a positive number of seconds, not -1"),
        ({"timeout": float("nan")}, ValueError, "positive number of seconds, not nan"),
        ({"timeout": float("inf")}, ValueError, "positive number of seconds, not inf"),
        ({"timeout": "5"}, TypeError, "timeout must be a number of seconds, not str"),
        ({"timeout": True}, TypeError, "timeout must be a number of seconds, not bool"),
        ({"allow_origins": "*"}, TypeError, "several origins, not one string"),
        ({"allow_origins": ["a.example"]}, ValueError, "'a.example' is not an origin"),
        ({"allow_origins": ["null"]}, ValueError, "'null' is not an origin"),
        ({"allow_origins": [""]}, ValueError, "'' is not an origin"),
        ({"allow_origins": ["https://a.example/x"]}, ValueError, "more than scheme, host and port"),
        ({"allow_origins": ["https://a.example?"]}, ValueError, "more than scheme, host and port"),
        ({"allow_hosts": "a.example"}, TypeError, "several hosts, not one string"),
        ({"allow_hosts": ["a.example:80"]}, ValueError, "leave out scheme, port and path"),
        ({"allow_hosts": ["a.example:"]}, ValueError, "leave out scheme, port and path"),
        ({"allow_hosts": ["a.example/x"]}, ValueError, "leave out scheme, port and path"),
        ({"allow_hosts": ["http://a.example"]}, ValueError, "is not a host like packages.example"),
        ({"allow_hosts": [""]}, ValueError, "it names no host"),
        ({"allow_hosts": ["*.a.example"]}, ValueError, "is not plain ASCII"),
        ({"cdns": "https://a.example/v{version}/"}, TypeError, "several base URLs, not one string"),
        ({"cdns": [7]}, TypeError, "base_url must be a string, not int"),
        ({"cdns": ["https://a.example/full/"]}, ValueError, "write {version} in place of the"),
        ({"cdns": ["https://{version}.example/"]}, ValueError, "{version} is not in its path"),
        ({"cdns": ["a.example/v{version}/"]}, ValueError, "not a usable base URL of a CDN"),
        ({"cdns": ["https://a.example/v{version}/?x"]}, ValueError, "a query or a fragment"),
        ({"cdns": [f"https://u:{SECRET}@a.example/v{{version}}/"]}, ValueError, "user name or"),
        ({"pyodide": "release"}, TypeError, "pyodide must be several folders, not one"),
        ({"pyodide": Path("release")}, TypeError, "pyodide must be several folders, not one"),
        ({"public_url": "a.example"}, ValueError, "'a.example' is no public URL"),
        ({"public_url": "https://a.example/?x"}, ValueError, "it has a query or a fragment"),
        ({"public_url": "https://a.example/#x"}, ValueError, "it has a query or a fragment"),
        ({"public_url": f"https://u:{SECRET}@a.example"}, ValueError, "user name or password"),
        ({"allow_origins": [f"https://u:{SECRET}@a"]}, ValueError, "user name or password"),
        ({"upstreams": [f"https://u:{SECRET}@a.example"]}, ValueError, "Put them into ~/.netrc"),
        ({"upstreams": [f"https://{SECRET}@a.example"]}, ValueError, UPSTREAMS_VARIABLE),
    ]
    for arguments, error, sentence in cases:
        with pytest.raises(error) as raised:
            make(**arguments)
        assert sentence in str(raised.value), arguments
        assert SECRET not in str(raised.value), arguments


def test_create_app_refuses_the_same(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="timeout must be"):
        create_app(upstreams=[], cache=tmp_path, timeout=0)
    with pytest.raises(ValueError, match="does not exist"):
        create_app(tmp_path / "nowhere", upstreams=[], cache=tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="cannot be used"):
        create_app(upstreams=[], cache=tmp_path / "file")


def test_a_public_url_is_where_the_root_is() -> None:
    for given, kept in [
        ("https://a.example/", "https://a.example"),
        ("https://A.example:443/idx/", "https://a.example/idx"),
        ("https://a.example/idx/simple/", "https://a.example/idx"),
        ("http://10.0.0.1:8080", "http://10.0.0.1:8080"),
    ]:
        assert make(public_url=given).public_url == kept, given


def test_origins_are_kept_as_browsers_write_them() -> None:
    for given, kept in [
        ("*", "*"),
        ("https://LAB.example:443/", "https://lab.example"),
        ("http://localhost:8888", "http://localhost:8888"),
    ]:
        assert make(allow_origins=[given]).allow_origins == (kept,), given


def test_hosts_are_compared_without_case_and_the_dot_at_the_end() -> None:
    given = ["LAB.example.", "*", "10.0.0.1", "lab"]
    assert make(allow_hosts=given).allow_hosts == ("lab.example", "*", "10.0.0.1", "lab")
    assert make(public_url="https://CDN.example:8443/x").allow_hosts == ("cdn.example",)
    assert make(public_url="https://[::1]/").allow_hosts == ()


# --- the environment ----------------------------------------------------------------------------


def test_upstreams_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        UPSTREAMS_VARIABLE, f" https://u%40x:{SECRET}%2F@a.example/simple/ ,http://b.example:8080 "
    )
    found = make()
    assert found.upstreams == ("https://a.example/simple", "http://b.example:8080")
    assert found.logins == {"https://a.example/simple": ("u@x", f"{SECRET}/")}


def test_a_token_without_a_password_is_a_login_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(UPSTREAMS_VARIABLE, "https://token@a.example/simple")
    assert make().logins == {"https://a.example/simple": ("token", "")}


def test_arguments_overrule_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(UPSTREAMS_VARIABLE, "https://a.example")
    assert make(upstreams=["https://b.example"]).upstreams == ("https://b.example",)
    assert make(upstreams=[]).upstreams == ()


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for empty in ("", " ", ", ,"):
        monkeypatch.setenv(UPSTREAMS_VARIABLE, empty)
        assert make().upstreams == (MIRRORS[0].index_url,), repr(empty)


def test_a_bad_one_in_the_environment_names_the_variable_and_no_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for bad in [
        f"ftp://u:{SECRET}@a.example",
        f"https://u:{SECRET}@",
        f"https://u:{SECRET}@[bad",
        f"u:{SECRET}@a.example",
        f"https://u:{SECRET}@a.example:port/",
        f"https://u:{SECRET}@a.example/?x={SECRET}",
    ]:
        monkeypatch.setenv(UPSTREAMS_VARIABLE, bad)
        with pytest.raises(ValueError, match=UPSTREAMS_VARIABLE) as raised:
            make()
        assert f"u:{SECRET}" not in str(raised.value), bad


# --- the command's own --------------------------------------------------------------------------


def test_sizes_are_written_as_people_do() -> None:
    for text, size in [
        ("0", 0),
        ("500", 500),
        ("500M", 500_000_000),
        ("2G", 2_000_000_000),
        ("2g", 2_000_000_000),
        ("1 TB", 10**12),
        ("1k", 1000),
        ("1Ki", 1024),
        ("1KiB", 1024),
        ("2GiB", 2 * 1024**3),
        ("12B", 12),
    ]:
        assert options.size(text) == size, text
    for text in ["", "G", "-1", "1.5G", "2 gigabytes", "1PB", "1e9", "٣M"]:
        with pytest.raises(ValueError, match="is not a size like 500M or 2G"):
            options.size(text)


def test_ports_are_numbers() -> None:
    for text, port in [("0", 0), ("8080", 8080), ("65535", 65535)]:
        assert options.port(text) == port, text
    for text in ["", "-1", "65536", "http", "80 80", "٣", "1e3"]:
        with pytest.raises(ValueError, match="port from 0"):
            options.port(text)


def test_argparse_shows_what_a_check_says() -> None:
    check = options.argument(options.port)
    with pytest.raises(argparse.ArgumentTypeError, match="is no port"):
        check("x")
