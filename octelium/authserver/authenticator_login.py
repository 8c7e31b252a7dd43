"""Signing in with an Authenticator: as a second proof, or with a passkey alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.authserver.authenticator_pages import (
    LIST_PATH,
    LOGOUT_PATH,
    label,
    own_form,
    sentence,
)
from octelium.authserver.browsers import AUTHENTICATE_PATH
from octelium.authserver.ceremony import password_form, security_key
from octelium.authserver.cookies import REFRESH, cookie, set_tokens
from octelium.authserver.flow import SUCCESS_PATH, redirect
from octelium.authserver.markup import (
    Markup,
    aside,
    button,
    buttons,
    link,
    notice,
    onward,
    paragraph,
)
from octelium.authserver.requests import downstream_of
from octelium.authserver.targets import Target, TargetError, target_of
from octelium.identity.attempts import Attempt, Way
from octelium.identity.authenticators.authenticators import Asking
from octelium.identity.authenticators.errors import WrongResponseError
from octelium.identity.authenticators.registration import Response as Answer
from octelium.identity.errors import AuthenticationError, DisabledUserError, TooEarlyError
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from octelium.authserver.browsers import Browsers
    from octelium.authserver.oauth2 import Publish
    from octelium.authserver.pages import Pages
    from octelium.authserver.site import Site
    from octelium.authserver.waiting import Waiting
    from octelium.identity.admission import IssuedTokens
    from octelium.identity.authenticators.authenticators import Authenticators
    from octelium.identity.authenticators.available import Selection

AUTHENTICATE_FINISH_PATH: Final = "/authenticators/authenticate/finish"
PASSKEY_PATH: Final = "/authenticators/passkey"
PASSKEY_FINISH_PATH: Final = "/authenticators/passkey/finish"
_TYPES: Final = core.AuthenticatorStatusType__
_RECOMMENDED: Final = core.SessionStatusAuthenticatorAction__.AUTHENTICATION_RECOMMENDED
_REQUIRED: Final = core.SessionStatusAuthenticatorAction__.AUTHENTICATION_REQUIRED
_AGAIN: Final = "That did not work. Please try again."
_FOREIGN: Final = "a page of another site sent it, or it is no form of the Cluster's"


class AuthenticatorLogin:
    """The pages where a person proves to be there."""

    def __init__(
        self,
        site: Site,
        pages: Pages,
        browsers: Browsers,
        waiting: Waiting,
        authenticators: Authenticators,
        publish: Publish,
    ) -> None:
        self._site = site
        self._pages = pages
        self._browsers = browsers
        self._waiting = waiting
        self._authenticators = authenticators
        self._publish = publish

    async def authenticate(self, request: Request) -> Response:
        """Which Authenticator to use; a security key that was chosen is asked for."""
        session = self._browsers.session(request)
        if session is None:
            return redirect(f"{self._site.origin}/login")
        if request.method != "POST":
            return await self._choice(request, session)
        form = await own_form(request, self._site.origin)
        if form is None:
            return await self._choice(request, session, _AGAIN)
        ref = meta.ObjectReference(uid=form.get("uid", ""))
        try:
            challenge = await self._authenticators.authenticate_begin(_asking(request), ref)
        except AuthenticationError as error:
            return await self._choice(request, session, sentence(error.answer))
        if challenge.authenticator.status.type != _TYPES.FIDO:
            return await self._choice(request, session)
        return self._pages.page(
            f"Use {label(challenge.authenticator)}",
            paragraph("Your browser asks for your security key or passkey."),
            security_key(
                AUTHENTICATE_FINISH_PATH,
                challenge.text,
                {"uid": challenge.authenticator.metadata.uid, "type": "fido"},
                "Ask again",
            ),
            paragraph(link(self._site.origin + AUTHENTICATE_PATH, "Use another Authenticator")),
            forms=("'self'",),
            script=True,
        )

    async def finish(self, request: Request) -> Response:
        """Take what the Authenticator answers."""
        session = self._browsers.session(request)
        if session is None:
            return redirect(f"{self._site.origin}/login")
        form = await own_form(request, self._site.origin)
        if form is None or form.get("type") not in ("totp", "fido"):
            self._refuse(request, Way.AUTHENTICATOR, _FOREIGN, session)
            return await self._choice(request, session, _AGAIN)
        asking, ref = _asking(request), meta.ObjectReference(uid=form.get("uid", ""))
        kind = _TYPES.TOTP if form["type"] == "totp" else _TYPES.FIDO
        try:
            if kind == _TYPES.TOTP:  # nothing has to be asked of an app beforehand
                await self._begin(request, session, ref)
            issued = await self._authenticators.authenticate(
                asking,
                ref,
                Answer(kind, form.get("response", "")),
                downstream=downstream_of(request),
            )
        except AuthenticationError as error:
            await self._publish()  # failures are counted
            return await self._choice(request, session, _told(error, totp=kind == _TYPES.TOTP))
        return await self._signed_in(issued)

    async def _begin(
        self, request: Request, session: core.Session, ref: meta.ObjectReference
    ) -> None:
        """Ask an app; a guess that comes too soon is logged like a wrong one."""
        try:
            await self._authenticators.authenticate_begin(_asking(request), ref)
        except AuthenticationError as error:
            self._refuse(request, Way.AUTHENTICATOR, error, session)
            raise

    def _refuse(
        self,
        request: Request,
        way: Way,
        reason: str | AuthenticationError,
        session: core.Session | None = None,
    ) -> None:
        attempt = Attempt(way=way, downstream=downstream_of(request), operation=_operation(request))
        if session is not None:
            attempt.concerns_session(session)
        self._browsers.authentication.refuse(attempt, reason)

    async def passkey(self, request: Request) -> Response:
        """Ask the browser for a passkey."""
        form = await own_form(request, self._site.origin)
        if form is None:
            return redirect(f"{self._site.origin}/login?error=again")
        try:
            target_of(self._site, form.get("query", ""))
            options = self._authenticators.passkey_begin()
        except TargetError:
            return redirect(f"{self._site.origin}/login?error=client")
        except AuthenticationError:
            return redirect(f"{self._site.origin}/login?error=unavailable")
        return self._pages.page(
            "Sign in with a passkey",
            paragraph("Your browser asks which passkey to use."),
            security_key(
                PASSKEY_FINISH_PATH, options, {"query": form.get("query", "")}, "Ask again"
            ),
            paragraph(link(f"{self._site.origin}/login", "Sign in in another way")),
            aside("If you have lost it, ask an administrator to invite you."),
            forms=("'self'",),
            script=True,
        )

    async def passkey_finish(self, request: Request) -> Response:
        """Take what the passkey answers, and begin a Session."""
        form = await own_form(request, self._site.origin)
        if form is None:
            self._refuse(request, Way.PASSKEY, _FOREIGN)
            return redirect(f"{self._site.origin}/login?error=again")
        try:
            target = target_of(self._site, form.get("query", ""))
            issued = await self._authenticators.with_passkey(
                form.get("response", ""),
                refresh_token=cookie(request, REFRESH) or None,
                downstream=downstream_of(request),
                operation=_operation(request),
            )
        except TargetError:
            return redirect(f"{self._site.origin}/login?error=client")
        except AuthenticationError as error:
            await self._publish()
            word = "disabled" if isinstance(error, DisabledUserError) else "passkey"
            query = "&".join(filter(None, (f"error={word}", target.query)))
            return redirect(f"{self._site.origin}/login?{query}")
        return await self._signed_in(issued, target)

    async def _signed_in(self, issued: IssuedTokens, target: Target | None = None) -> Response:
        await self._publish()
        if target is not None:
            self._waiting.keep_target(issued.session.metadata.uid, target)
        url = self._site.origin + SUCCESS_PATH
        about = paragraph("You are signed in.")
        response: Response = self._pages.onward(url, "Signed in", about, onward(url, "Continue"))
        set_tokens(self._site, response, issued)
        return response

    async def _choice(self, request: Request, session: core.Session, told: str = "") -> Response:
        try:
            found = await self._authenticators.available(_asking(request))
        except AuthenticationError:
            return redirect(f"{self._site.origin}/login")
        blocks = [notice(told, bad=True)] if told else []
        if found.items:
            blocks.append(paragraph("This Cluster wants to know that it is still you."))
        blocks += _ways(found)
        blocks.append(aside("If you have lost it, ask an administrator to remove it."))
        action = session.status.authenticator_action
        if action not in (_RECOMMENDED, _REQUIRED):
            blocks.append(paragraph(link(self._site.origin + LIST_PATH, "Cancel")))
        if action == _RECOMMENDED:
            blocks.append(paragraph(link(self._site.origin + SUCCESS_PATH, "Not now")))
        blocks.append(buttons([button(LOGOUT_PATH, "Sign out", {}, quiet=True)]))
        return self._pages.page(
            "Prove that it is you", *blocks, forms=("'self'",), status=400 if told else 200
        )


def _ways(found: Selection) -> list[Markup]:
    if not found.items:
        return [
            paragraph(
                "None of your Authenticators can be used here: they are removed, or wait for an "
                "administrator's approval. Sign out to sign in in another way."
            )
        ]
    blocks = [
        password_form(
            AUTHENTICATE_FINISH_PATH,
            {"uid": one.metadata.uid, "type": "totp"},
            f"Code that your authenticator app shows ({label(one)})",
            "Continue",
            "Six digits, which change every 30 seconds.",
        )
        for one in found.items
        if one.status.type == _TYPES.TOTP
    ]
    keys = [
        button(
            AUTHENTICATE_PATH,
            f"Use your security key or passkey ({label(one)})",
            {"uid": one.metadata.uid, "type": "fido"},
        )
        for one in found.items
        if one.status.type == _TYPES.FIDO
    ]
    return [*([buttons(keys)] if keys else []), *blocks]


def _told(error: AuthenticationError, *, totp: bool) -> str:
    if isinstance(error, TooEarlyError):
        return "You proved that often within the last hour. You are signed in as before."
    if isinstance(error, WrongResponseError) and totp:
        return "That is not the code of this moment, or it has been used. Wait for the next."
    return sentence(error.answer)


def _operation(request: Request) -> str:
    path: str = request.url.path
    return path.removeprefix("/")


def _asking(request: Request) -> Asking:
    return Asking(cookie(request, REFRESH), _operation(request))
