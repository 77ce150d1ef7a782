"""Pages of the chosen mirror, made into what micropip can use. Pure Python over a transport."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .errors import Reason
from .model import Request, Response
from .simple_api import (
    ACCEPT,
    JSON_TYPE,
    MAX_PAGE_BYTES,
    PageError,
    normalize,
    parse_page,
    to_json,
)
from .transport import TransportError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import Mirror, ProjectPage
    from .transport import Transport

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Router:
    """Answers micropip's requests for project pages of one mirror.

    ``repairs``: what the probe found to be repaired. ``timeout``: seconds for one page.
    """

    mirror: Mirror
    repairs: tuple[Reason, ...]
    transport: Transport
    timeout: float

    def project_of(self, url: str) -> str | None:
        """The project whose page this URL is, or None if it is no page of the mirror."""
        start = f"{self.mirror.index_url}/"
        name = url.removeprefix(start).removesuffix("/")
        is_page = url.startswith(start) and url.endswith("/") and re.fullmatch(r"[\w.-]+", name)
        return normalize(name) if is_page else None

    async def page(self, url: str, project: str, options: Mapping[str, object]) -> Response:
        """The project's page as exact PEP 691 JSON, or the mirror's own error.

        ``options``: what micropip would give to its own fetch; only credentials matter here.
        Raises OSError, as a failed fetch does, when there is no usable page.
        """
        request = Request(
            url=url,
            timeout=self.timeout,
            max_bytes=MAX_PAGE_BYTES,
            headers={**self.mirror.headers_for(url), "accept": ACCEPT},
            credentials=options.get("credentials") or self.mirror.credentials_for(url),  # type: ignore[arg-type]  # checked by fetch
        )
        try:
            response = await self.transport.fetch(request)
            if not response.ok:
                return response
            content_type = response.headers.get("content-type", "")
            page = parse_page(response.body, content_type, response.url, project)
        except TransportError as error:
            raise self._failed(project, error.failure.detail) from error
        except PageError as error:
            raise self._failed(project, error.finding.detail) from error
        return Response(
            url=response.url,
            status=200,
            headers={"content-type": JSON_TYPE},
            body=to_json(self._repaired(page)),
        )

    def _repaired(self, page: ProjectPage) -> ProjectPage:
        if Reason.METADATA_BROKEN not in self.repairs:
            return page
        # Without the promise micropip takes the metadata from the wheel.
        return replace(page, files=tuple(replace(file, metadata=None) for file in page.files))

    def _failed(self, project: str, detail: str) -> OSError:
        # micropip replaces the error by one without a cause; so it is logged, too.
        message = f"{self.mirror.name} has no usable page of {project!r}: {detail}"
        _log.warning("%s", message)
        return OSError(message)
