"""The page on which a person lets in a machine that has no browser (RFC 8628 section 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from starlette.requests import ClientDisconnect

from octelium.authserver.body import BodyError, read_form
from octelium.authserver.browsers import is_pending, required_path
from octelium.authserver.device_codes import Verdict, normal_code
from octelium.authserver.device_grant import PAGE_PATH
from octelium.authserver.flow import redirect
from octelium.authserver.markup import (
    aside,
    button,
    buttons,
    facts,
    notice,
    onward,
    paragraph,
    question,
    strong,
)
from octelium.authserver.origins import comes_from
from octelium.authserver.requests import downstream_of, only
from octelium.identity.attempts import Attempt, Way
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from octelium.authserver.browsers import Browsers
    from octelium.authserver.device_codes import DeviceCodes, DeviceLogin
    from octelium.authserver.pages import Pages
    from octelium.authserver.site import Site
    from octelium.store.resources import Resources

_MAX_BODY: Final = 4096
_SELF: Final = ("'self'",)
_VERDICTS: Final = {"approve": Verdict.APPROVED, "deny": Verdict.DENIED}


class DevicePage:
    """Asks for the code, then whether its machine is to be let in."""

    def __init__(
        self,
        site: Site,
        pages: Pages,
        resources: Resources,
        browsers: Browsers,
        codes: DeviceCodes,
    ) -> None:
        self._site = site
        self._pages = pages
        self._resources = resources
        self._browsers = browsers
        self._codes = codes

    async def page(self, request: Request) -> Response:
        """What is asked, or what becomes of the answer."""
        session = self._browsers.session(request)
        code = normal_code(only(request, "user_code"))
        if session is None or not self._browsers.is_fresh(request, session):
            back = self._site.origin + PAGE_PATH + (f"?user_code={code}" if code else "")
            return redirect(f"{self._site.origin}/login?{urlencode({'redirect': back})}")
        if path := required_path(session):
            return redirect(self._site.origin + path)
        if is_pending(session):
            return redirect(f"{self._site.origin}/login")
        if request.method == "POST":
            return await self._decide(request, session)
        if "user_code" not in request.query_params:
            return self._enter()
        login = self._codes.of_user_code(code, session.metadata.uid)
        return self._unknown(request, session) if login is None else self._ask(session, login)

    def _enter(self, *, wrong: bool = False) -> Response:
        text = (
            "No machine waits with this code. Compare it with what the machine shows; a code is "
            "good for ten minutes."
        )
        return self._pages.page(
            "Sign in a machine",
            *([notice(text, bad=True)] if wrong else []),
            paragraph("A machine that has no browser shows you a code. Enter it here."),
            question(
                PAGE_PATH, "Code", "user_code", "", "Go on", "Eight letters, such as BCDF-GHJK"
            ),
            status=404 if wrong else 200,
            forms=_SELF,
        )

    def _unknown(self, request: Request, session: core.Session) -> Response:
        self._refuse(request, session, "no machine waits with this code, or too many were tried")
        return self._enter(wrong=True)

    def _refuse(self, request: Request, session: core.Session, reason: str) -> None:
        attempt = Attempt(
            way=Way.DEVICE_CODE,
            downstream=downstream_of(request),
            operation=PAGE_PATH.removeprefix("/"),
        )
        attempt.concerns_session(session)
        self._browsers.authentication.refuse(attempt, reason)

    def _ask(self, session: core.Session, login: DeviceLogin) -> Response:
        user = self._resources.peek(core.User, uid=session.status.user_ref.uid)
        name = "" if user is None else user.metadata.display_name or user.metadata.name
        known = [
            ("Code", login.shown_code),
            ("Address", login.downstream.address or "unknown"),
            ("Program", login.downstream.user_agent[:120] or "unknown"),
        ]
        if login.scopes:
            known.append(("May only", " ".join(login.scopes)))
        fields = {"user_code": login.user_code}
        return self._pages.page(
            "Let this machine in?",
            paragraph(
                "A machine asks to act as ",
                strong(name),
                " in this Cluster. It may then open and change what you may.",
            ),
            facts(known),
            buttons(
                [
                    button(PAGE_PATH, "Allow", {**fields, "decision": "approve"}),
                    button(PAGE_PATH, "Deny", {**fields, "decision": "deny"}, quiet=True),
                ]
            ),
            aside(
                "Allow it only if you see this code on a machine that you yourself are signing in. "
                "Whoever sends you a code wants to act as you."
            ),
            forms=_SELF,
        )

    async def _decide(self, request: Request, session: core.Session) -> Response:
        try:
            form = await read_form(request, _MAX_BODY)
        except (BodyError, ClientDisconnect):
            form = {}
        verdict = _VERDICTS.get(form.get("decision", ""))
        if verdict is None or not comes_from(request, self._site.origin):
            self._refuse(request, session, "a page of another site, or what is no form, let it in")
            return self._enter(wrong=True)
        code = normal_code(form.get("user_code", ""))
        login = self._codes.of_user_code(code, session.metadata.uid)
        if login is None:
            return self._unknown(request, session)
        self._codes.decide(login, verdict, session.metadata.uid)
        if verdict is Verdict.DENIED:
            self._refuse(request, session, "this person did not let the machine in")
            heading, text = "Not let in", "The machine was not let in."
        else:
            heading, text = "The machine is let in", "It signs in within some seconds."
        return self._pages.page(
            heading, paragraph(text), onward(self._site.portal, "To the Portal")
        )
