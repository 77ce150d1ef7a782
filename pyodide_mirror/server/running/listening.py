"""The socket on which the server listens."""

from __future__ import annotations

import errno
import socket
import sys
from typing import Final

_OTHER_HOST: Final = (
    "give --host an address of this machine, 127.0.0.1 for itself alone or 0.0.0.0 for all networks"
)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; OSError says what to do if there is none."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise OSError(f"--host {host}: {error.strerror}; {_OTHER_HOST}") from None
    try:
        listening = socket.socket(family, kind, protocol)
    except OSError as error:  # no IPv6, say
        raise OSError(f"cannot listen on {host}: {error.strerror}; {_OTHER_HOST}") from None
    try:
        if sys.platform != "win32":  # where it would let two servers share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except OSError as error:
        listening.close()
        by_port = error.errno in {errno.EADDRINUSE, errno.EACCES}
        advice = "choose another with --port" if by_port else _OTHER_HOST
        raise OSError(f"cannot listen on {host} port {port}: {error.strerror}; {advice}") from None
    return listening
