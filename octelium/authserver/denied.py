"""What a person sees who may not open something, and why.

The reasons stand on the login host and not on the Portal, which is a Service behind policies: who
is refused there, or has a Session that is not active, could not read why.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from octelium.authserver.browsers import is_pending, required_path
from octelium.authserver.cookies import ACCESS, cookie
from octelium.authserver.flow import redirect
from octelium.authserver.markup import aside, code, facts, folded, lines, link, onward, paragraph
from octelium.identity.sessions import is_user_barred
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from octelium.authserver.browsers import Browsers
    from octelium.authserver.pages import Pages
    from octelium.authserver.site import Site
    from octelium.policy.narration import Line
    from octelium.store.resources import Resources

WHY_PATH: Final = "/denied/why"
_ID: Final = re.compile(r"[a-z0-9]{4}-[a-z0-9]{4}-24-[a-z0-9]{4}-[a-z0-9]{4}")


class Reasons(Protocol):
    """Knows why requests were refused."""

    async def why(self, token: str, entry: str, client_address: str) -> Sequence[Line] | None:
        """Why the request of one log entry is refused, as its own User may know it.

        `token` is what the reader shows for an access token. The first line is a sentence for
        whoever knows nothing of policies. None if the token is nobody's, or the entry not one of
        the reader's own User.
        """


class DeniedPages:
    """What a browser gets to see that was refused elsewhere."""

    def __init__(
        self,
        site: Site,
        pages: Pages,
        resources: Resources,
        browsers: Browsers,
        reasons: Reasons,
    ) -> None:
        self._resources = resources
        self._site = site
        self._pages = pages
        self._browsers = browsers
        self._reasons = reasons

    async def denied(self, request: Request) -> Response:
        """That a request was refused; or what has to be done before any is not."""
        session = self._browsers.session(request)
        if session is not None and is_pending(session):
            return redirect(f"{self._site.origin}/login")
        if session is None and (told := self._shut_out(request)):
            return self._pages.page("You may not open this", paragraph(told), status=403)
        if session is not None and (path := required_path(session)):
            return redirect(self._site.origin + path)
        entry = _entry(request)
        why = []
        if entry:
            url = f"{self._site.origin}{WHY_PATH}?id={entry}"
            why = [onward(url, "Why?", quiet=True), facts([("Request", entry)])]
        return self._pages.page(
            "You may not open this",
            paragraph(
                "You are signed in, but the policies of this Cluster do not let you open what you "
                "asked for. The ",
                link(self._site.portal, "Portal"),
                " shows what you may open, and who you are signed in as.",
            ),
            *why,
            aside(
                "Why, and what would allow it, an administrator sees with "
                if entry
                else "The reason for each refusal is in the access log; an administrator reads it "
                "with ",
                code(f"octeliumctl policy explain --log {entry}" if entry else "octeliumctl logs"),
                ".",
            ),
            status=403,
        )

    def _shut_out(self, request: Request) -> str:
        """What keeps the browser's Session from everything, the Portal too; empty if nothing."""
        session = self._browsers.authentication.holder_of_access_token(_token(request))
        if session is None:
            return ""
        if session.spec.state == core.SessionSpecState__.REJECTED or session.status.is_locked:
            return "Your Session was rejected by an administrator. Ask one, if you do not know why."
        user = self._resources.peek(core.User, uid=session.status.user_ref.uid)
        if user is not None and is_user_barred(user):
            return "Your access is switched off at present. Ask an administrator."
        return ""

    async def why(self, request: Request) -> Response:
        """Why it was: for the User whose request it was, and for nobody else."""
        entry, token = _entry(request), _token(request)
        address = request.headers.get("x-octelium-client-address", "")
        found = await self._reasons.why(token, entry, address) if entry and token else None
        if found is None:
            return await self._pages.not_offered(request, LookupError(entry))
        return self._pages.page(
            "Why",
            paragraph(found[0].text),
            *([folded("Step by step", lines(found[1:]))] if found[1:] else []),
            facts([("Request", entry)]),
            paragraph(link(self._site.portal, "To the Portal")),
        )


def _entry(request: Request) -> str:
    """The id of a log entry in the query; empty if there is none, or no such thing."""
    found = request.query_params.getlist("id")
    return found[0] if len(found) == 1 and _ID.fullmatch(found[0]) else ""


def _token(request: Request) -> str:
    """The access token of a request, where other Services find it too."""
    headers = request.headers
    given = headers.get("x-octelium-auth") or cookie(request, ACCESS)
    if given:
        return given
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme == "Bearer" else ""
