"""The Portal `https://portal.<domain>`: which Services there are, and the way to them.

The proxy in front lets only signed-in people through and says whose Session it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from octelium.authserver.markup import Markup, link, listing, paragraph
from octelium.authserver.pages import Pages
from octelium.schema.names import public_fqdn
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from octelium.authserver.site import Site
    from octelium.store.resources import Resources

_PAGES = (core.ServiceSpecMode__.HTTP, core.ServiceSpecMode__.WEB)


def create_portal_app(site: Site, resources: Resources) -> Starlette:
    """The application behind the Service `portal.default`."""
    pages = Pages(site, resources)
    portal = Portal(site, resources, pages)
    return Starlette(
        routes=[Route("/{path:path}", portal.services)],
        exception_handlers={HTTPException: pages.not_offered, Exception: pages.failed},
    )


class Portal:
    """Pages for a person who is signed in."""

    def __init__(self, site: Site, resources: Resources, pages: Pages) -> None:
        self._site = site
        self._resources = resources
        self._pages = pages

    async def services(self, request: Request) -> Response:
        """Who is signed in, and every Service that is not hidden."""
        user = self._user(request.headers.get("x-octelium-session-uid", ""))
        if user is None:
            location = f"{self._site.origin}/login"
            return Response(
                status_code=303, headers={"Location": location, "Cache-Control": "no-store"}
            )
        items = list(self._items())
        shown = listing(items) if items else paragraph("This Cluster has no Services yet.")
        name = user.metadata.display_name or user.metadata.name
        return self._pages.page("Services", paragraph("Signed in as ", name, "."), shown)

    def _user(self, session_uid: str) -> core.User | None:
        session = self._resources.peek(core.Session, uid=session_uid) if session_uid else None
        if session is None:
            return None
        return self._resources.peek(core.User, uid=session.status.user_ref.uid)

    def _items(self) -> Iterator[tuple[Markup | str, str]]:
        for service in self._resources.peek_all(core.Service):
            metadata = service.metadata
            if metadata.is_system or metadata.is_system_hidden or metadata.is_user_hidden:
                continue
            label = metadata.display_name or metadata.name.removesuffix(".default")
            mode = core.ServiceSpecMode__.ServiceSpecMode.Name(service.spec.mode)
            about = " · ".join(filter(None, (metadata.name, mode, metadata.description)))
            if service.spec.is_public and service.spec.mode in _PAGES:
                url = self._site.url(public_fqdn(metadata.name, self._site.domain))
                yield link(f"{url}/", label), about
            else:
                yield label, about
