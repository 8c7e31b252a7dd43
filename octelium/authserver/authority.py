"""The certificate of the Cluster's own CA, for computers that do not trust it yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from octelium.authserver.markup import aside, code, link

if TYPE_CHECKING:
    from starlette.requests import Request

    from octelium.authserver.markup import Markup
    from octelium.authserver.pages import Pages
    from octelium.authserver.site import Site

AUTHORITY_PATH: Final = "/ca.pem"
_HEADERS: Final = {
    "Content-Disposition": 'attachment; filename="ca.pem"',
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class AuthorityPage:
    """Answers anybody: the front door shows the same certificate to whoever connects."""

    def __init__(self, site: Site, pages: Pages) -> None:
        self._site = site
        self._pages = pages

    async def certificate(self, request: Request) -> Response:
        """The certificate as a file; none where the Cluster's own CA is not in use."""
        pem = self._site.authority()
        if not pem:
            return await self._pages.not_offered(request, LookupError(AUTHORITY_PATH))
        return Response(pem, 200, _HEADERS, "application/x-pem-file")


def authority_hint(site: Site) -> list[Markup]:
    """Where the file of a shown command line comes from; nothing where it needs none."""
    if not site.authority():
        return []
    return [
        aside(
            "The file ",
            code("ca.pem"),
            " is the Cluster's own ",
            link(site.origin + AUTHORITY_PATH, "CA certificate"),
            ": save it where you run the command.",
        )
    ]
