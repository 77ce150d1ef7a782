"""The server with a certificate of its own."""

import json
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
import uv
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pyodide_mirror.server.running.tls import may_be_overheard, tls_context
from tests.support.own_server import Serving, clean_environment, serving
from tests.support.pages import authority
from tests.support.server_wire import parsed
from tests.support.wheels import make_wheel

LOCAL = make_wheel("acme-tool", "1.0")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate and its key, apart and in one file, and that of its authority."""
    folder = tmp_path_factory.mktemp("tls")
    own = authority().issue_cert("127.0.0.1", "localhost")
    own.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    own.private_key_pem.write_to_path(folder / "key.pem")
    own.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    authority().cert_pem.write_to_path(folder / "authority.pem")
    other = trustme.CA().issue_cert("localhost")
    other.private_key_pem.write_to_path(folder / "other-key.pem")
    key = serialization.load_pem_private_key(own.private_key_pem.bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (folder / "encrypted.pem").write_bytes(encrypted)
    return folder


@pytest.fixture(scope="module")
def server(files: Path) -> Iterator[Serving]:
    wheels = files / "wheels"
    wheels.mkdir()
    (wheels / LOCAL.filename).write_bytes(LOCAL.data)
    options = ["--certfile", str(files / "cert.pem"), "--keyfile", str(files / "key.pem")]
    with serving(wheels, options=options) as running:
        yield running
    assert "Traceback" not in running.output


def client(files: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(files / "authority.pem"))


def test_it_serves_by_https(server: Serving, files: Path) -> None:
    assert server.url.startswith("https://127.0.0.1:")
    with urllib.request.urlopen(f"{server.index_url}/acme-tool/", context=client(files)) as answer:  # noqa: S310
        [file] = json.load(answer)["files"]
    assert file["url"].startswith(f"{server.url}/files/")
    with urllib.request.urlopen(file["url"], context=client(files)) as answer:  # noqa: S310
        assert answer.read() == LOCAL.data


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_pip_and_uv_trust_an_authority_that_they_are_told(
    server: Serving, files: Path, tmp_path: Path, tool: str
) -> None:
    target = ["--index-url", f"{server.index_url}/", "--target", str(tmp_path), "acme-tool"]
    certificate = str(files / "authority.pem")
    if tool == "pip":
        command = [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--retries", "0"]
        command += ["--cert", certificate, *target]
    else:
        command = [uv.find_uv_bin(), "pip", "install", "--no-cache", "--python", sys.executable]
        command += target
    environment = clean_environment(**({"SSL_CERT_FILE": certificate} if tool == "uv" else {}))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # which pip's requests believes first
        environment.pop(name, None)
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "acme_tool-1.0.dist-info").exists()


def test_a_refusal_in_the_middle_of_a_head_arrives(server: Serving, files: Path) -> None:
    """Over plain TCP the server closes its half first; TLS has no halves."""
    port = urlsplit(server.url).port or 0
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        client(files).wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        assert connection.version() in {"TLSv1.2", "TLSv1.3"}
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000)
        received = b""
        while b"\n\r\n431: " not in received:
            piece = connection.recv(65_536)
            assert piece, received
            received += piece
    [answer] = parsed(received)
    assert answer.status == 431


def test_who_speaks_plain_http_to_it_does_no_harm(server: Serving, files: Path) -> None:
    port = urlsplit(server.url).port or 0
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP/1.1 200" not in plain.recv(1000)
    test_it_serves_by_https(server, files)


def number_seen(server: Serving, files: Path, name: str = "localhost") -> int:
    """The serial number of the certificate that a new connection gets."""
    port = urlsplit(server.url).port or 0
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        client(files).wrap_socket(plain, server_hostname=name) as connection,
    ):
        seen = connection.getpeercert() or {}
    return int(str(seen["serialNumber"]), 16)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])  # the second one is not sent as SNI
def test_a_renewed_certificate_is_used_from_the_next_connection_on(
    files: Path, tmp_path: Path, name: str
) -> None:
    first, second = (authority().issue_cert("127.0.0.1", "localhost") for _ in range(2))
    numbers = [
        x509.load_pem_x509_certificate(each.cert_chain_pems[0].bytes()).serial_number
        for each in (first, second)
    ]
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    first.cert_chain_pems[0].write_to_path(certificate)
    first.private_key_pem.write_to_path(key)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    options = ["--certfile", str(certificate), "--keyfile", str(key)]
    with serving(wheels, options=options) as running:
        assert number_seen(running, files, name) == numbers[0]
        second.cert_chain_pems[0].write_to_path(certificate)
        for _ in range(2):  # its key is not there yet
            assert number_seen(running, files, name) == numbers[0]
        certificate.rename(tmp_path / "elsewhere.pem")
        assert number_seen(running, files, name) == numbers[0]
        second.private_key_pem.write_to_path(key)
        (tmp_path / "elsewhere.pem").rename(certificate)
        for _ in range(2):
            assert number_seen(running, files, name) == numbers[1]
    told = [line for line in running.output.splitlines() if "the certificate before" in line]
    assert [line.partition("for now: ")[2].replace(str(tmp_path), "") for line in told] == [
        "--certfile '/cert.pem' and its key do not belong together",
        "--certfile '/cert.pem' cannot be read: No such file or directory",
    ]
    assert "Traceback" not in running.output


def test_both_may_be_in_one_file(files: Path) -> None:
    assert tls_context(str(files / "both.pem"), None) is not None
    assert tls_context(None, None) is None


@pytest.mark.parametrize(
    ("certfile", "keyfile", "sentence"),
    [
        (None, "key.pem", "--keyfile is of no use without --certfile"),
        ("nowhere.pem", None, "--certfile '.*nowhere.pem' cannot be read: No such file"),
        ("cert.pem", "nowhere.pem", "--keyfile '.*nowhere.pem' cannot be read: No such file"),
        ("cert.pem", "other-key.pem", "do not belong together"),
        ("cert.pem", None, "--certfile .* must have a certificate"),
        ("key.pem", "key.pem", "must have a certificate"),
        ("cert.pem", "encrypted.pem", "the private key is encrypted; take its password away"),
    ],
)
def test_what_is_wrong_with_them_is_said(
    files: Path, certfile: str | None, keyfile: str | None, sentence: str
) -> None:
    given = [str(files / name) if name else None for name in (certfile, keyfile)]
    with pytest.raises(ValueError, match=sentence):
        tls_context(*given)


@pytest.mark.parametrize(
    ("url", "address", "is_overheard"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1", False),
        ("http://[::1]:8080", "::1", False),
        ("http://10.0.0.1:8080", "10.0.0.1", True),
        ("https://10.0.0.1:8443", "10.0.0.1", False),
        ("https://packages.example", "::", False),
        ("http://packages.example", "::", True),
    ],
)
def test_logins_in_the_clear_are_noticed(url: str, address: str, is_overheard: bool) -> None:
    assert may_be_overheard(url, address) == is_overheard
