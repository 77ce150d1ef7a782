"""Files of users and tokens for a server that needs a login."""

import base64
from pathlib import Path
from typing import NamedTuple

USER = "ann"
PASSWORD = "correct horse: ünï"  # noqa: S105  # of nobody
HASHED = "$2y$04$004cNqSJWsbJPEFEx0SUZOW6s7bdI.3YYyr6j9Pn4WuF4hK3z9lUu"
READER = "reads-Y7XwB3uM0c5r9TqL"
UPLOADER = "uploads-k2JdVh8Zs4PnQe1R"
BOTH = "both-m6FtGa0Wx3CyUi7E"


class LoginFiles(NamedTuple):
    """The two files."""

    auth: Path
    tokens: Path

    @property
    def options(self) -> list[str]:
        """The command's options for them."""
        return ["--auth", str(self.auth), "--token-file", str(self.tokens)]


def write_login_files(folder: Path) -> LoginFiles:
    """Write a file with the one user, and a file with the three tokens."""
    files = LoginFiles(folder / "htpasswd", folder / "tokens")
    files.auth.write_text(f"# by htpasswd -B\n{USER}:{HASHED}\n")
    files.tokens.write_text(f"read {READER}\nupload {UPLOADER}\n\nread,upload   {BOTH}\n")
    return files


def basic(user: str = USER, password: str = PASSWORD, encoding: str = "utf-8") -> dict[str, str]:
    """The header of a user and a password (RFC 7617)."""
    said = base64.b64encode(f"{user}:{password}".encode(encoding)).decode()
    return {"authorization": f"Basic {said}"}


def bearer(token: str = READER) -> dict[str, str]:
    """The header of a token (RFC 6750)."""
    return {"authorization": f"Bearer {token}"}
