"""Options that commands share; types of options: text in, a value out, and words for argparse."""

from __future__ import annotations

import argparse
import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, TypeVar

from pyodide_mirror.api import check_canary, check_timeout
from pyodide_mirror.probing import DEFAULT_CANARY

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


def argument(check: Callable[[str], _T]) -> Callable[[str], _T]:
    """Let argparse show what a check says; it names the argument itself."""

    def checked(text: str) -> _T:
        try:
            return check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


def add_probe_options(parser: argparse.ArgumentParser, *, timeout: float) -> None:
    """Add ``--canary``, and ``--timeout`` with this default in seconds."""
    parser.add_argument(
        "--canary",
        type=argument(check_canary),
        default=DEFAULT_CANARY,
        metavar="PROJECT",
        help="the project to look up (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=argument(seconds),
        default=timeout,
        metavar="SECONDS",
        help="for each request, body included (default: %(default)g)",
    )


def seconds(text: str) -> float:
    """A number of seconds; ValueError says what is wrong."""
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number of seconds") from None
    return check_timeout(number)


def port(text: str) -> int:
    """A TCP port; ValueError says what is wrong."""
    if not (text.isascii() and text.isdecimal() and int(text) < 65536):
        raise ValueError(f"{text!r} is no port from 0 (any free one) to 65535")
    return int(text)


def count(text: str) -> int:
    """A number from 1 on; ValueError says what is wrong."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 1000):
        raise ValueError(f"{text!r} is no number from 1 to 999")
    return int(text)


def size(text: str) -> int:
    """A number of bytes, as in ``500M``, ``2G`` or ``1GiB``; ValueError says what is wrong."""
    match = re.fullmatch(r"(\d{1,15}) ?([KMGT]?)(i?)B?", text.strip(), re.ASCII | re.IGNORECASE)
    if match is None:
        raise ValueError(f"{text!r} is not a size like 500M or 2G")
    step = 1024 if match[3] else 1000
    factor: int = step ** " KMGT".index(match[2].upper() or " ")
    return int(match[1]) * factor


def network(text: str) -> str:
    """An IP address or network, such as ``10.0.0.0/8``; ValueError says what is wrong."""
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise ValueError(f"{text!r} is no IP address or network like 10.0.0.0/8") from None


def version(text: str) -> str:
    """A version of Pyodide; ValueError says what is wrong."""
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4}){2}([A-Za-z0-9.+-]{0,40})", text, re.ASCII):
        raise ValueError(f"{text!r} is no version of Pyodide like 314.0.7")
    return text
