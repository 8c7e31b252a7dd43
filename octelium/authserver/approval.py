"""The page on which a person lets a command line in.

https://octelium.com/docs/octelium/latest/management/core/session. What it gives away goes to the
loopback interface of the computer that the browser runs on, and is of use only to the process that
began the login (RFC 8252 sections 7.3 and 8.1).
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from octelium.authserver.body import BodyError, media_type, read_form, read_json
from octelium.authserver.flow import APPROVAL_PATH, redirect
from octelium.authserver.markup import aside, button, buttons, facts, onward, paragraph, strong
from octelium.authserver.origins import comes_from
from octelium.authserver.requests import downstream_of
from octelium.identity.attempts import Attempt, Way
from octelium.identity.errors import AuthenticationError
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from starlette.requests import Request

    from octelium.authserver.browsers import Browsers
    from octelium.authserver.logins import Logins
    from octelium.authserver.pages import Pages
    from octelium.authserver.site import Site
    from octelium.authserver.waiting import ApprovalRequest, Waiting
    from octelium.identity.client_logins import ClientLogins

_MAX_BODY: Final = 4096
_OPERATION: Final = APPROVAL_PATH.removeprefix("/")


class Approval:
    """Asks the person, and does what the person says."""

    def __init__(
        self,
        site: Site,
        pages: Pages,
        logins: Logins,
        browsers: Browsers,
        waiting: Waiting,
        client_logins: ClientLogins,
    ) -> None:
        self._site = site
        self._pages = pages
        self._logins = logins
        self._browsers = browsers
        self._waiting = waiting
        self._client_logins = client_logins

    async def page(self, request: Request) -> Response:
        """What is asked, or what becomes of the answer."""
        return await (self._decide(request) if request.method == "POST" else self._ask(request))

    async def _ask(self, request: Request) -> Response:
        session = self._browsers.session(request)
        if session is None:
            return redirect(f"{self._site.origin}/login")
        asked = self._waiting.asked(session.metadata.uid)
        if asked is None:
            return self._nothing()
        user = self._logins.resources.peek(core.User, uid=session.status.user_ref.uid)
        name = "" if user is None else user.metadata.display_name or user.metadata.name
        fields = {"request": asked.id}
        return self._pages.page(
            "Let a command line in?",
            paragraph(
                "A program on this computer asks to act as ",
                strong(name),
                " in this Cluster. ",
                "It may then open and change everything that you may.",
            ),
            facts(
                [
                    ("User", name),
                    ("Program", f"a command line on this computer, at port {asked.client.port}"),
                ]
            ),
            buttons(
                [
                    button(APPROVAL_PATH, "Allow", {**fields, "decision": "approve"}),
                    button(APPROVAL_PATH, "Deny", {**fields, "decision": "deny"}, quiet=True),
                ]
            ),
            aside(
                "Allow it only if you have just begun to sign in on the command line yourself. "
                "A link that somebody sent you is no reason."
            ),
            forms=("'self'",),
        )

    async def _decide(self, request: Request) -> Response:
        """Let the command line in, or not: by the page's form, or as Octelium's pages ask it."""
        as_json = media_type(request) == "application/json"
        session = self._browsers.session(request)
        if session is None or not comes_from(request, self._site.origin):
            reason = "nobody is signed in, or a page of another site let the command line in"
            self._log(request, session, reason)
            return self._refused(403, as_json=as_json)
        try:
            approved, wanted = await _decision(request, as_json=as_json)
        except (BodyError, ClientDisconnect, ValueError):
            return self._refused(400, as_json=as_json)
        uid = session.metadata.uid
        asked = self._waiting.asked(uid)
        if asked is None or (wanted is not None and not _equal(wanted, asked.id)):
            reason = "no command line waits for this answer: it was given before, or is too old"
            self._log(request, session, reason)
            return self._refused(409, as_json=as_json)
        self._waiting.answer(uid)
        if not approved:
            return self._denied(as_json=as_json)
        return await self._approve(request, session, asked, as_json=as_json)

    async def _approve(
        self, request: Request, session: core.Session, asked: ApprovalRequest, *, as_json: bool
    ) -> Response:
        client = asked.client
        try:
            token = await self._client_logins.approve(
                session.metadata.uid, client.code_challenge, operation=_OPERATION
            )
        except AuthenticationError as error:
            self._log(request, session, error)
            return self._refused(403, as_json=as_json)
        await self._logins.publish()
        self._waiting.let_in(session.metadata.uid)
        url = client.answer(token)
        if as_json:
            return _json({"redirectURL": url})
        return self._pages.onward(
            url,
            "The command line goes on",
            paragraph("You can close this page when the command line says that you are signed in."),
            onward(url, "Back to the command line"),
        )

    def _nothing(self) -> Response:
        return self._pages.page(
            "Nothing waits for your answer",
            paragraph(
                "No command line waits for you here: the question is too old, or was answered. If "
                "a command line waits all the same, stop it and begin again there."
            ),
            onward(self._site.portal, "To the Portal"),
            status=404,
        )

    def _denied(self, *, as_json: bool) -> Response:
        if as_json:
            return _json({"redirectURL": self._site.portal})
        return self._pages.page(
            "Not let in",
            paragraph("The command line was not let in. It gives up by itself."),
            onward(self._site.portal, "To the Portal"),
        )

    def _log(
        self, request: Request, session: core.Session | None, reason: str | AuthenticationError
    ) -> None:
        attempt = Attempt(
            way=Way.AUTHENTICATION_TOKEN, downstream=downstream_of(request), operation=_OPERATION
        )
        if session is not None:
            attempt.concerns_session(session)
        self._logins.authentication.refuse(attempt, reason)

    def _refused(self, status: int, *, as_json: bool) -> Response:
        if as_json:
            return Response(status_code=status, headers={"Cache-Control": "no-store"})
        return self._pages.page(
            "This did not work",
            paragraph(
                "The command line was not let in: the question is too old, was answered before, "
                "or your Session may not do this. Begin again on the command line."
            ),
            status=status,
        )


async def _decision(request: Request, *, as_json: bool) -> tuple[bool, str | None]:
    """Whether the person approves, and of which request; None if the sender does not say.

    Raises:
        BodyError, ValueError: it cannot be read.
    """
    if as_json:
        approved = (await read_json(request, _MAX_BODY)).get("isApproved", False)
        if not isinstance(approved, bool):
            raise ValueError("isApproved is wanted")
        return approved, None
    form = await read_form(request, _MAX_BODY)
    if form.keys() != {"request", "decision"} or form["decision"] not in ("approve", "deny"):
        raise ValueError("request and decision are wanted")
    return form["decision"] == "approve", form["request"]


def _equal(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode(), known.encode())


def _json(body: dict[str, str]) -> Response:
    return JSONResponse(body, headers={"Cache-Control": "no-store"})
