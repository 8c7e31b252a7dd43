"""The Portal `https://portal.<domain>`: which Services there are, and the way to them.

The proxy in front lets only signed-in people through and says whose Session it is.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from octelium.authserver.account import ACCOUNT_PATH, SIGN_OUT_PATH, Account, menu, signed_in_as
from octelium.authserver.authority import authority_hint
from octelium.authserver.contained import Contained
from octelium.authserver.csrf import FormTokens
from octelium.authserver.flow import redirect
from octelium.authserver.markup import (
    Markup,
    aside,
    badge,
    both,
    command,
    entries,
    link,
    notice,
    paragraph,
    search,
    strong,
)
from octelium.authserver.openable import Openness
from octelium.authserver.pages import Pages
from octelium.authserver.requests import only
from octelium.schema.names import public_fqdn
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from octelium.authserver.oauth2 import Publish
    from octelium.authserver.openable import Openable
    from octelium.authserver.site import Site
    from octelium.identity.authentication import Authentication
    from octelium.store.resources import Resources

_MANY: Final = 12
"""Services from which on people look for one instead of looking them through."""
_LONGEST: Final = 100
_PAGES: Final = (core.ServiceSpecMode__.HTTP, core.ServiceSpecMode__.WEB)

Page: TypeAlias = "Callable[[Request, core.User, core.Session], Awaitable[Response]]"
"""A page for the person of a Session."""


def create_portal_app(
    site: Site,
    resources: Resources,
    authentication: Authentication,
    publish: Publish,
    openable: Openable,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """The application behind the Service `portal.default`."""
    pages = Pages(site, resources)
    tokens = FormTokens()
    portal = Portal(site, resources, pages, openable, tokens)
    account = Account(site, resources, pages, authentication, publish, tokens, clock)
    return Starlette(
        routes=[
            Route(ACCOUNT_PATH, portal.with_session(account.page), methods=["GET", "POST"]),
            Route(SIGN_OUT_PATH, portal.with_session(account.sign_out), methods=["POST"]),
            Route("/{path:path}", portal.with_session(portal.services)),
        ],
        middleware=[Middleware(Contained, pages.failed)],
        exception_handlers={HTTPException: pages.not_offered},
    )


class _Item(NamedTuple):
    """A Service of the list."""

    text: str
    """All that stands there of it, folded."""
    markup: tuple[Markup | str, str, Markup]

    def is_called(self, wanted: str) -> bool:
        """Whether every word of `wanted` is in its name or description."""
        return all(word in self.text for word in wanted.casefold().split())


class Portal:
    """Pages for a person who is signed in."""

    def __init__(
        self,
        site: Site,
        resources: Resources,
        pages: Pages,
        openable: Openable,
        tokens: FormTokens,
    ) -> None:
        self._site = site
        self._resources = resources
        self._pages = pages
        self._openable = openable
        self._tokens = tokens

    def with_session(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """`page` for the Session that the proxy names; whoever has none is to sign in."""

        async def answer(request: Request) -> Response:
            uid = request.headers.get("x-octelium-session-uid", "")
            session = self._resources.peek(core.Session, uid=uid) if uid else None
            user_uid = "" if session is None else session.status.user_ref.uid
            user = self._resources.peek(core.User, uid=user_uid) if user_uid else None
            if session is None or user is None:
                return redirect(f"{self._site.origin}/login")
            return await page(request, user, session)

        return answer

    async def services(self, request: Request, user: core.User, session: core.Session) -> Response:
        """Who is signed in, and what this person may open."""
        opened = await self._openable.services(user, session)
        entrances = self._openable.entrances(session) if opened else {}
        all_items = list(self._items(opened, entrances))
        wanted = only(request, "q").strip()[:_LONGEST]
        items = [each.markup for each in all_items if each.is_called(wanted)]
        told = []
        if opened is None:
            text = "What you may open could not be found out just now, so all Services are shown."
            told = [notice(text, bad=True)]
        if len(all_items) > _MANY or wanted:
            told.append(search("/", "Find a Service", wanted, "Find"))
        if wanted:
            count = f"{len(items)} of {len(all_items)} Services."
            everything = link(self._site.portal, "Show all")
            told.append(paragraph(count, " ", everything))
        if items:
            shown = entries(items)
        elif wanted:
            shown = paragraph("None is called so, or described with these words.")
        elif opened is None:
            shown = paragraph("This Cluster has no Services yet.")
        else:
            shown = paragraph(
                "No Service is open to you yet. An administrator decides that by Policies."
            )
        return self._pages.page(
            "Services",
            signed_in_as(user, SIGN_OUT_PATH, {"token": self._tokens.of(session.metadata.uid)}),
            *told,
            shown,
            aside("On a command line you sign in with this:"),
            command(self._site.login_command),
            *authority_hint(self._site),
            forms=("'self'", self._site.origin),
            menu=menu(self._site, "/"),
        )

    def _items(
        self, opened: Mapping[str, Openness] | None, entrances: Mapping[str, str]
    ) -> Iterator[_Item]:
        for service in self._resources.peek_all(core.Service):
            metadata = service.metadata
            if metadata.is_system or metadata.is_system_hidden or metadata.is_user_hidden:
                continue
            openness = Openness.OPEN if opened is None else opened.get(metadata.name)
            if openness is None:
                continue
            yield self._item(service, openness, entrances.get(metadata.name, "/"))

    def _item(self, service: core.Service, openness: Openness, entrance: str) -> _Item:
        metadata = service.metadata
        label = metadata.display_name or metadata.name.removesuffix(".default")
        mode = core.ServiceSpecMode__.ServiceSpecMode.Name(service.spec.mode)
        about = "\n".join(filter(None, (metadata.description, f"{metadata.name} · {mode}")))
        text = f"{label}\n{about}".casefold()
        mark = badge("some pages only") if openness is Openness.DEPENDS else Markup("")
        if service.spec.is_public and service.spec.mode in _PAGES:
            url = self._site.url(public_fqdn(metadata.name, self._site.domain))
            if entrance != "/":
                about += f"\nopens at {entrance}"
            return _Item(text, (link(url + quote(entrance), label), about, mark))
        way = badge("octelium connect" if not service.spec.is_public else "by client")
        return _Item(text, (strong(label), about, both(mark, way) if mark else way))
