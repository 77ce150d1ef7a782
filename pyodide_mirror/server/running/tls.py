"""TLS of the server as a program, and what is said to a server that has logins and no TLS."""

from __future__ import annotations

import logging
import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from pyodide_mirror.server.access import Changes

_log = logging.getLogger("pyodide_mirror.server")

OVERHEARD: Final = (
    "pyodide-mirror serve: passwords and tokens reach this server in the clear, and others in the"
    " network can read them; use --certfile, or a proxy with TLS and its address as --public-url"
)


def tls_context(certfile: str | None, keyfile: str | None) -> ssl.SSLContext | None:
    """The TLS of a server with a certificate, or None without; ValueError says what is wrong.

    A certificate that is renewed is used from the next connection on.
    """
    if certfile is None:
        if keyfile is not None:
            raise ValueError("--keyfile is of no use without --certfile")
        return None
    context = _context(certfile, keyfile)
    # Called for each connection before its certificate is sent, with or without a name (RFC 6066).
    context.sni_callback = _Renewed(certfile, keyfile, context)
    return context


class _Renewed:
    """Gives a connection the certificate that is in the files now.

    As long as those cannot be used, because only one of them is new yet, say, it is the one before.
    """

    def __init__(self, certfile: str, keyfile: str | None, context: ssl.SSLContext) -> None:
        self._files = certfile, keyfile
        self._changes = [Changes(Path(name)) for name in self._files if name is not None]
        self._context = context
        self._problem = ""

    def __call__(self, connection: ssl.SSLObject, *_: object) -> None:
        try:
            if self._have_changed():
                self._context = _context(*self._files)
                self._problem = ""
        except ValueError as error:
            self._note(str(error))
        connection.context = self._context

    def _have_changed(self) -> bool:
        try:
            return any(each.look() for each in self._changes)
        except OSError:
            return True  # reading it says what is wrong

    def _note(self, problem: str) -> None:
        for each in self._changes:
            each.forget()
        if problem != self._problem:
            _log.error("the certificate before is used for now: %s", problem)
        self._problem = problem


def _context(certfile: str, keyfile: str | None) -> ssl.SSLContext:
    for option, name in (("--certfile", certfile), ("--keyfile", keyfile)):
        try:
            if name is not None:
                Path(name).read_bytes()
        except OSError as error:
            raise ValueError(f"{option} {name!r} cannot be read: {error.strerror}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # TLS 1.2 and later
    context.set_alpn_protocols(["http/1.1"])
    try:
        # OpenSSL would ask the terminal for a password.
        context.load_cert_chain(certfile, keyfile, password=_no_password)
    except ssl.SSLError as error:
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        raise ValueError(
            f"--certfile {certfile!r} and its key do not belong together"
            if mismatch
            else f"--certfile {certfile!r} must have a certificate (PEM), and its private key, if"
            f" there is no --keyfile with that ({error.reason})"
        ) from None
    return context


def _no_password() -> str:
    raise ValueError(
        "the private key is encrypted; take its password away: `openssl pkey -in KEY -out NEW`"
    )


def may_be_overheard(url: str, address: str) -> bool:
    """Whether logins come from other machines in the clear to a server at an IP address."""
    return not (ip_address(address).is_loopback or url.startswith("https:"))
