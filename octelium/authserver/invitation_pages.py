"""The pages of who was invited: open the link, accept it, make a passkey, be signed in.

Opening an invitation changes nothing, for programs that show previews open links too. Only the
form of a page that this browser was shown accepts it.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Final

from octelium.authserver import ceremony
from octelium.authserver.agents import agent_name
from octelium.authserver.authenticator_pages import own_form, sentence
from octelium.authserver.browsers import INVITED_PATH
from octelium.authserver.cookies import (
    INVITATION,
    REFRESH,
    clear_cookies,
    cookie,
    set_invitation,
    set_tokens,
)
from octelium.authserver.csrf import FormTokens
from octelium.authserver.flow import SUCCESS_PATH, redirect
from octelium.authserver.login import LOGOUT_PATH
from octelium.authserver.markup import (
    Markup,
    aside,
    button,
    buttons,
    facts,
    notice,
    onward,
    paragraph,
    paste,
    strong,
)
from octelium.authserver.requests import downstream_of
from octelium.identity.authenticators.authenticators import Asking
from octelium.identity.authenticators.errors import WrongResponseError
from octelium.identity.errors import AuthenticationError, SessionLimitError
from octelium.identity.invitation_logins import PATH as INVITATION_PATH
from octelium.identity.invitations import is_invited
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from octelium.authserver.browsers import Browsers
    from octelium.authserver.oauth2 import Publish
    from octelium.authserver.pages import Pages
    from octelium.authserver.site import Site
    from octelium.identity.authenticators.authenticators import Authenticators
    from octelium.identity.authenticators.registration import Challenge
    from octelium.identity.invitation_logins import InvitationLogins
    from octelium.store.resources import Resources

SCRIPT_PATH: Final = "/assets/invitation.js"
PASSKEY_FINISH_PATH: Final = "/invite/passkey/finish"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_BROWSER: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_SELF: Final = ("'self'",)
_AGAIN: Final = "That did not work. Please try again."


class InvitationPages:
    """The pages below `/invite`."""

    def __init__(
        self,
        site: Site,
        pages: Pages,
        resources: Resources,
        browsers: Browsers,
        invitations: InvitationLogins,
        authenticators: Authenticators,
        publish: Publish,
    ) -> None:
        self._site = site
        self._pages = pages
        self._resources = resources
        self._browsers = browsers
        self._invitations = invitations
        self._authenticators = authenticators
        self._publish = publish
        self._proofs = FormTokens()

    async def invitation(self, request: Request) -> Response:
        """Take the link; then ask whether it is accepted; then accept it."""
        if request.method != "POST":
            return self._open()
        form = await own_form(request, self._site.origin)
        token = _token((form or {}).get("invitation", ""))
        if form is None or not token:
            return self._open(_AGAIN)
        if "proof" not in form:
            return await self._look(request, token)
        browser = cookie(request, INVITATION)
        if not browser or not self._proofs.is_of(form["proof"], f"{browser} {token}"):
            return await self._look(request, token, _AGAIN)
        return await self._accept(request, token)

    async def passkey(self, request: Request) -> Response:
        """Ask the browser to make a passkey, once the person wants it to."""
        session = self._session(request)
        if session is None:
            return redirect(f"{self._site.origin}/login")
        if request.method != "POST":
            return self._offer()
        if await own_form(request, self._site.origin) is None:
            return self._offer(_AGAIN)
        name = agent_name(request.headers.get("user-agent", ""))
        try:
            challenge = await self._authenticators.invited_begin(
                _asking(request), name if name.isascii() and name.isprintable() else ""
            )
        except AuthenticationError as error:
            return self._offer(sentence(error.answer))
        return self._making(challenge)

    async def finish(self, request: Request) -> Response:
        """Take the passkey; the person is signed in."""
        if self._session(request) is None:
            return redirect(f"{self._site.origin}/login")
        form = await own_form(request, self._site.origin)
        if form is None:
            return self._offer(_AGAIN)
        ref = meta.ObjectReference(uid=form.get("uid", ""))
        try:
            issued = await self._authenticators.invited_finish(
                _asking(request),
                ref,
                form.get("response", ""),
                downstream=downstream_of(request),
            )
        except WrongResponseError:
            return self._offer("The passkey was not accepted. Please try again.")
        except AuthenticationError as error:
            return self._offer(sentence(error.answer))
        await self._publish()
        if issued is None:
            return self._unapproved()
        url = self._site.origin + SUCCESS_PATH
        response: Response = self._pages.onward(
            url, "You are signed in", paragraph("Your passkey is made."), onward(url, "Continue")
        )
        set_tokens(self._site, response, issued)
        return response

    async def script(self, _request: Request) -> Response:
        """What brings the token from the link to the form."""
        return ceremony.script_file("invitation.js")

    def _session(self, request: Request) -> core.Session | None:
        """The browser's Session, if an invitation has begun it."""
        session = self._browsers.session(request)
        return session if session is not None and is_invited(session) else None

    async def _look(self, request: Request, token: str, told: str = "") -> Response:
        try:
            user = await self._invitations.look(
                token, downstream=downstream_of(request), operation=_operation(request)
            )
        except AuthenticationError:
            return self._nowhere(request)
        browser = cookie(request, INVITATION)
        if not _BROWSER.fullmatch(browser):
            browser = secrets.token_urlsafe(16)
        fields = {"invitation": token, "proof": self._proofs.of(f"{browser} {token}")}
        response = self._ask(request, user, fields, told)
        set_invitation(response, browser)
        return response

    async def _accept(self, request: Request, token: str) -> Response:
        try:
            issued = await self._invitations.claim(
                token,
                refresh_token=cookie(request, REFRESH) or None,
                downstream=downstream_of(request),
                operation=_operation(request),
            )
        except SessionLimitError:
            return self._pages.page(
                "You have too many Sessions",
                paragraph("Ask an administrator to end some of them. Your invitation stays good."),
                status=403,
            )
        except AuthenticationError:
            return self._nowhere(request)
        await self._publish()
        response = redirect(self._site.origin + INVITED_PATH)
        set_tokens(self._site, response, issued)
        return response

    def _open(self, told: str = "") -> Response:
        return self._pages.page(
            "Open your invitation",
            *([notice(told, bad=True)] if told else []),
            paragraph("You were sent a link that lets you in. Paste it here."),
            paste(
                INVITATION_PATH,
                "Link",
                "invitation",
                "Continue",
                f"{self._site.origin}{INVITATION_PATH}#…",
            ),
            forms=_SELF,
            script=True,
            script_path=SCRIPT_PATH,
            status=400 if told else 200,
        )

    def _ask(
        self, request: Request, user: core.User, fields: dict[str, str], told: str
    ) -> Response:
        name = user.metadata.display_name or user.metadata.name
        known = [("Cluster", self._pages.cluster_name), ("You are", name)]
        if name != user.metadata.name:
            known.append(("User", user.metadata.name))
        blocks: list[Markup] = [notice(told, bad=True)] if told else []
        blocks += [
            facts(known),
            paragraph(
                "There is no password: next you make a passkey, on this device, your phone or "
                "a security key."
            ),
        ]
        if signed_in := self._signed_in(request):
            blocks.append(paragraph("This browser is signed in as ", strong(signed_in), " so far."))
        blocks += [
            buttons([button(INVITATION_PATH, "Accept the invitation", fields)]),
            aside("Accept it only if ", strong(name), " is you. The link works once."),
        ]
        status = 400 if told else 200
        return self._pages.page("You are invited", *blocks, forms=_SELF, status=status)

    def _offer(self, told: str = "") -> Response:
        return self._pages.page(
            "Make your passkey",
            *([notice(told, bad=True)] if told else []),
            paragraph("It takes the place of a password: from here on, it signs you in."),
            buttons(
                [
                    button(INVITED_PATH, "Make a passkey", {}),
                    button(LOGOUT_PATH, "Cancel", {}, quiet=True),
                ]
            ),
            aside(
                "Do it within 15 minutes, in this browser. After that, or if you cancel, you need "
                "another invitation."
            ),
            forms=_SELF,
            status=400 if told else 200,
        )

    def _making(self, challenge: Challenge) -> Response:
        fields = {"uid": challenge.authenticator.metadata.uid}
        return self._pages.page(
            "Make your passkey",
            paragraph("Your browser asks where to keep it."),
            ceremony.security_key(
                PASSKEY_FINISH_PATH,
                challenge.text,
                fields,
                "Ask again",
                create=True,
                otherwise=" Allow it for this page.",
            ),
            forms=_SELF,
            script=True,
        )

    def _unapproved(self) -> Response:
        response = self._pages.page(
            "Your passkey waits for approval",
            paragraph("It is made. Once an administrator has approved it, you can sign in."),
            onward(f"{self._site.origin}/login", "To the login page"),
        )
        clear_cookies(self._site, response)
        return response

    def _nowhere(self, request: Request) -> Response:
        """What is said of a link that is not good; to who has accepted it, how to go on."""
        if self._session(request) is not None:
            return redirect(self._site.origin + INVITED_PATH)
        return self._pages.page(
            "This invitation is not good any longer",
            paragraph(
                "It was used, replaced by another, or is older than 15 minutes. Ask who sent it "
                "for another."
            ),
            paragraph("If somebody else may have used it, tell an administrator at once."),
            onward(f"{self._site.origin}/login", "To the login page"),
            status=403,
        )

    def _signed_in(self, request: Request) -> str:
        """Who is signed in in this browser; empty if nobody is."""
        session = self._browsers.session(request)
        if session is None or is_invited(session):
            return ""
        user = self._resources.peek(core.User, uid=session.status.user_ref.uid)
        return "" if user is None else user.metadata.display_name or user.metadata.name


def _token(text: str) -> str:
    """The token of a link, or of the end of one; empty if there is none."""
    token = text.strip().rpartition("#")[2]
    return token if _TOKEN.fullmatch(token) else ""


def _operation(request: Request) -> str:
    path: str = request.url.path
    return path.removeprefix("/")


def _asking(request: Request) -> Asking:
    return Asking(cookie(request, REFRESH), _operation(request))
