"""The login page: signing in, and the way on for who is signed in already."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.responses import Response

from octelium.authserver import offers
from octelium.authserver.authenticator_login import PASSKEY_PATH
from octelium.authserver.authority import authority_hint
from octelium.authserver.browsers import (
    AUTHENTICATE_PATH,
    began_with_authenticator,
    is_pending,
    required_path,
)
from octelium.authserver.cookies import (
    REFRESH,
    clear_cookies,
    clear_login_state,
    cookie,
    has_ended,
)
from octelium.authserver.device_grant import PAGE_PATH
from octelium.authserver.flow import BEGIN_PATH, SUCCESS_PATH, redirect
from octelium.authserver.markup import (
    Markup,
    aside,
    button,
    buttons,
    command,
    notice,
    onward,
    paragraph,
    strong,
)
from octelium.authserver.origins import comes_from
from octelium.authserver.requests import only
from octelium.authserver.targets import Target, TargetError, target_of
from octelium.identity.errors import AuthenticationError
from octelium.identity.holders import Barrier
from octelium.identity.invitations import is_invited

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

    from octelium.authserver.browsers import Browsers
    from octelium.authserver.flow import Flow
    from octelium.authserver.logins import Logins
    from octelium.authserver.pages import Pages
    from octelium.authserver.site import Site
    from octelium.authserver.waiting import Waiting
    from octelium.schema.pb import core_v1_pb2 as core

LOGOUT_PATH: Final = "/logout"
_QUERY: Final = re.compile(rb"[!-~]+")
_WORDS: Final = {
    "again": "That did not work. Please try again.",
    "client": "The command line asked for something that this Cluster cannot do. "
    "Update it, and begin there again.",
    "denied": "Nobody was signed in: it was declined at the provider, or the provider does not let "
    "you in here. Try again, or ask whoever manages the provider.",
    "disabled": "You were not signed in: your User is switched off at present. Ask an "
    "administrator.",
    "expired": "That login was not begun in this browser, took too long, or has been used. "
    "Please sign in again.",
    "failed": "The Cluster could not finish the login. Its log says why.",
    "limit": "You were not signed in: you have as many Sessions as you may have. End some in the "
    "Portal of a browser that is signed in, or ask an administrator to.",
    "passkey": "That passkey did not sign you in: it is not known here, or you may not use it at "
    "present. Try again, or sign in in another way. If you have lost it, ask an administrator to "
    "invite you. The authentication log says why.",
    "provider": "The provider did not confirm who you are. Please try again; if it happens again, "
    "tell an administrator: the authentication log says why.",
    "refused": "You could not be signed in: your account at the provider belongs to no User of "
    "this Cluster, or may not sign in now. Use another account, or ask an administrator: the "
    "authentication log says why.",
    "unavailable": "Nobody can sign in that way at present. Try again later, or in another way.",
}
"""What each word after `error=` means to a person; the page says nothing else of a failure."""
_BARRIERS: Final = {
    Barrier.SESSION: "An administrator has ended your Session. Sign in again, or ask an "
    "administrator if you do not know why.",
    Barrier.USER: "Your User is switched off at present. Ask an administrator.",
}
"""What is said to a browser whose Session is of no use any more, while it has its token."""
_DONE: Final = {
    "signed-out": "You are signed out.",
    "declined": "The invitation is cancelled, and its link is used up. Nobody is signed in.",
}


class LoginPages:
    """What a browser gets to see on the login host."""

    def __init__(
        self,
        site: Site,
        pages: Pages,
        logins: Logins,
        browsers: Browsers,
        waiting: Waiting,
        flow: Flow,
        offers_passkeys: Callable[[], bool],
    ) -> None:
        self._site = site
        self._pages = pages
        self._logins = logins
        self._browsers = browsers
        self._waiting = waiting
        self._flow = flow
        self._offers_passkeys = offers_passkeys

    async def sign_in(self, request: Request) -> Response:
        """The login page, or the way on."""
        try:
            target = target_of(self._site, request.url.query)
        except TargetError as error:
            self._logins.refuse(request, "login", str(error))
            return self._index(request, Target(), "client")
        self._flow.check_target(request, "login", request.url.query)
        session = self._browsers.session(request)
        error = only(request, "error")
        if session is None or error in _WORDS or request.method == "HEAD":
            return self._index(request, target, error, keep=session is not None)
        if is_pending(session):
            return self._pending()
        if not self._browsers.is_fresh(request, session):
            return await self._renew(request, session, target)
        # The command line sends the browser to the host itself when it has signed in.
        arrived = request.url.path == "/" and target == Target()
        if arrived and self._waiting.has_let_in(session.metadata.uid):
            return self._let_in()
        return self._on(request, session, target)

    async def log_out(self, request: Request) -> Response:
        """End the Session of the browser."""
        if not comes_from(request, self._site.origin):
            return redirect(f"{self._site.origin}/login?error=again")
        done = "signed-out"
        try:
            session = await self._logins.authentication.log_out(
                cookie(request, REFRESH), operation=LOGOUT_PATH.removeprefix("/")
            )
        except AuthenticationError:  # it has ended before
            pass
        else:
            done = "declined" if is_invited(session) else done
            await self._logins.publish()
        response = redirect(f"{self._site.origin}/login?done={done}")
        clear_cookies(self._site, response)
        clear_login_state(self._site, response)
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

    def _on(self, request: Request, session: core.Session, target: Target) -> Response:
        if _is_foreign(self._site, request.headers.get("referer", "")):
            target = Target()
        if path := required_path(session):
            self._waiting.keep_target(session.metadata.uid, target)
            return redirect(self._site.origin + path)
        if target.client is not None:
            self._waiting.keep_target(session.metadata.uid, target)
            return redirect(self._site.origin + SUCCESS_PATH)
        return redirect(target.redirect or self._site.portal)

    async def _renew(self, request: Request, session: core.Session, target: Target) -> Response:
        """Authenticate a Session again, in the way that it began."""
        if began_with_authenticator(session):
            self._waiting.keep_target(session.metadata.uid, target)
            return redirect(self._site.origin + AUTHENTICATE_PATH)
        began = session.status.initial_authentication.info.identity_provider
        uid = began.identity_provider_ref.uid
        provider = offers.offer(self._logins.resources, uid)
        if provider is not None:
            return await self._flow.begin_at(request, provider, target)
        await self._logins.authentication.log_out(cookie(request, REFRESH), operation="login")
        await self._logins.publish()
        return self._index(request, target, "unavailable" if uid else "")

    def _let_in(self) -> Response:
        return self._pages.page(
            "You are signed in on the command line",
            paragraph("You may close this page."),
            onward(self._site.portal, "To the Portal"),
        )

    def _pending(self) -> Response:
        return self._pages.page(
            "Please wait for approval",
            paragraph(
                "You are signed in, but an administrator has to approve your Session before you "
                "can open anything. Look again once that has happened."
            ),
            onward(f"{self._site.origin}/login", "Look again"),
            buttons([button(LOGOUT_PATH, "Sign out", {}, quiet=True)]),
            forms=("'self'",),
        )

    def _index(
        self, request: Request, target: Target, error: str, *, keep: bool = False
    ) -> Response:
        providers = offers.offered(self._logins.resources)
        offered = bool(providers) or self._offers_passkeys()
        blocks = self._choice(providers, target) if offered else self._without_providers()
        told: list[Markup] = []
        if error in _WORDS:
            told.append(notice(_WORDS[error], bad=True))
        elif barrier := self._browsers.barrier(request):
            told.append(notice(_BARRIERS[barrier], bad=True))
        elif (done := only(request, "done")) in _DONE:
            told.append(notice(_DONE[done]))
        forms = ("'self'",) if offered else ()
        response = self._pages.page("Sign in", *told, *blocks, forms=forms)
        if not keep and has_ended(request):
            clear_cookies(self._site, response)
        return response

    def _choice(self, providers: Sequence[core.IdentityProvider], target: Target) -> list[Markup]:
        about = []
        if target.client is not None:
            about = [paragraph("The command line on this computer asks you to sign in.")]
        elif target.redirect:
            host = urlsplit(target.redirect).hostname or ""
            device = target.redirect.partition("?")[0] == self._site.origin + PAGE_PATH
            if device:
                about = [paragraph("Sign in to let a machine in.")]
            else:
                about = [paragraph("Sign in to open ", strong(host), ".")]
        ways = [
            button(
                BEGIN_PATH,
                offers.invitation(provider),
                {"uid": provider.metadata.uid, "query": target.query},
            )
            for provider in providers
        ]
        if self._offers_passkeys():
            fields = {"query": target.query}
            label = "Sign in with a passkey"
            ways.append(button(PASSKEY_PATH, label, fields, quiet=bool(providers)))
        lost = "If you have no passkey, or have lost it, ask an administrator to invite you."
        return [*about, buttons(ways), *([aside(lost)] if self._offers_passkeys() else [])]

    def _without_providers(self) -> list[Markup]:
        return [
            paragraph("This Cluster has no IdentityProvider by which people sign in here."),
            paragraph(
                "If you are invited, open the link that you were sent. With an authentication "
                "token you can sign in on the command line:"
            ),
            command(self._site.token_login_command),
            *authority_hint(self._site),
            aside("An administrator of the Cluster can invite you, or give you a token."),
        ]


def _is_foreign(site: Site, referer: str) -> bool:
    """Whether a page that is not of this Cluster sent the browser here."""
    if not referer:
        return False
    try:
        host = urlsplit(referer).hostname or ""
    except ValueError:
        return True
    return not (host == site.domain or host.endswith("." + site.domain))
