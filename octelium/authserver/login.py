"""What a browser gets to see on the login host."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.responses import Response

from octelium.authserver.pages import (
    Pages,
    clear_cookies,
    code,
    command,
    has_cookies,
    paragraph,
)

if TYPE_CHECKING:
    from starlette.requests import Request

    from octelium.authserver.site import Site

_QUERY = re.compile(rb"[!-~]+")


class LoginPages:
    """What a browser gets to see on the login host."""

    def __init__(self, site: Site, pages: Pages) -> None:
        self._site = site
        self._pages = pages

    async def sign_in(self, request: Request) -> Response:
        """How to sign in here."""
        response = self._pages.page(
            "Sign in",
            paragraph("This version offers no sign-in by browser."),
            paragraph("With an authentication token you can sign in on the command line:"),
            command(self._site.login_command),
            paragraph(
                "An administrator of the Cluster can give you a token. If the Cluster has a "
                "certificate authority of its own, add ",
                code("--ca-file"),
                " with its certificate.",
            ),
        )
        if has_cookies(request.cookies):
            clear_cookies(self._site, response)
        return response

    async def elsewhere(self, request: Request, error: Exception) -> Response:
        """Any other page is the login page; what is no page does not exist."""
        if request.method in ("GET", "HEAD"):
            query: bytes = request.scope["query_string"]
            location = b"/login?" + query if _QUERY.fullmatch(query) else b"/login"
            response = Response(status_code=303, headers={"Cache-Control": "no-store"})
            response.raw_headers.append((b"location", location))
            return response
        return await self._pages.not_offered(request, error)
