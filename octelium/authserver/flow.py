"""The way through an IdentityProvider: `/begin`, `/callback`, `/callback/success`.

Whatever goes wrong on it leads to the login page with one of a few words that say what to do; why,
stands in the authentication log. RFC 6749 section 4.1, RFC 9700; the addresses are those of
Octelium.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from octelium.authserver import offers
from octelium.authserver.body import BodyError, media_type, read_form, read_json
from octelium.authserver.browsers import is_pending, required_path, wanted_path
from octelium.authserver.cookies import clear_login_state, set_login_state, set_tokens
from octelium.authserver.form import FormError, parse_form
from octelium.authserver.logins import LoginError
from octelium.authserver.markup import onward, paragraph
from octelium.authserver.origins import comes_from
from octelium.authserver.requests import only
from octelium.authserver.targets import (
    REDIRECT,
    Target,
    TargetError,
    asks_elsewhere,
    is_own_page,
    target_of,
)
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from octelium.authserver.browsers import Browsers
    from octelium.authserver.logins import Logins
    from octelium.authserver.pages import Pages
    from octelium.authserver.site import Site
    from octelium.authserver.waiting import Waiting

_LOG = logging.getLogger(__name__)

BEGIN_PATH: Final = "/begin"
CALLBACK_PATH: Final = "/callback"
SUCCESS_PATH: Final = "/callback/success"
APPROVAL_PATH: Final = "/callback/success/approval"
_BEGIN: Final = BEGIN_PATH.removeprefix("/")
_MAX_JSON: Final = 512
_MAX_FORM: Final = 8 << 10
_MAX_ANSWER: Final = 16 << 10
_MAX_SAML_ANSWER: Final = 512 << 10
_MAX_QUERY: Final = 1000
_SAML: Final = core.IdentityProviderStatusType__.SAML
_BROWSER: Final = re.compile(r"Mozilla/[ -~]{0,292}")


def redirect(location: str) -> Response:
    """On to another page, which is fetched anew (RFC 9110 section 15.4.4)."""
    headers = {"Location": location, "Cache-Control": "no-store"}
    return Response(status_code=303, headers=headers)


class Flow:
    """The endpoints between the login page and the first page behind it."""

    def __init__(
        self, site: Site, pages: Pages, logins: Logins, browsers: Browsers, waiting: Waiting
    ) -> None:
        self._site = site
        self._pages = pages
        self._logins = logins
        self._browsers = browsers
        self._waiting = waiting

    async def begin(self, request: Request) -> Response:
        """Begin a login: as Octelium's own pages ask for one, or by a form of the login page."""
        if media_type(request) == "application/json":
            return await self._begin_json(request)
        try:
            form = await read_form(request, _MAX_FORM)
            provider, target = self._wanted(request, form.get("uid", ""), form.get("query", ""))
        except ClientDisconnect:
            return self.failed(LoginError("again"))
        except BodyError as error:
            self._logins.refuse(request, _BEGIN, str(error))
            return self.failed(LoginError("again"))
        except LoginError as error:
            return self.failed(error)
        try:
            url, state = await self._logins.begin(request, provider, target)
        except LoginError as error:
            return self.failed(error)
        name = offers.label(provider)
        response: Response = self._pages.onward(
            url,
            f"On to {name}",
            paragraph(f"You sign in at {name}, and come back here afterwards."),
            onward(url, f"Continue to {name}"),
        )
        set_login_state(self._site, response, state)
        return response

    async def begin_at(
        self, request: Request, provider: core.IdentityProvider, target: Target
    ) -> Response:
        """Send a browser to the IdentityProvider that it has been at before."""
        try:
            url, state = await self._logins.begin(request, provider, target)
        except LoginError as error:
            return self.failed(error)
        response = redirect(url)
        set_login_state(self._site, response, state)
        return response

    async def callback(self, request: Request) -> Response:
        """Where IdentityProviders send browsers back to."""
        if request.method == "HEAD":
            return self.failed(LoginError("again"))
        try:
            parameters = await self._parameters(request)
            returned = parameters.get("RelayState" if request.method == "POST" else "state", "")
            issued, target = await self._logins.end(request, returned, parameters)
        except ClientDisconnect:
            return self.failed(LoginError("again"))
        except (BodyError, FormError) as error:
            self._logins.refuse(request, CALLBACK_PATH.removeprefix("/"), str(error))
            return self.failed(LoginError("again"))
        except LoginError as error:
            response = self.failed(error)
            if error.target is not None:  # this browser's login has ended; others are not touched
                clear_login_state(self._site, response)
            return response
        except Exception:  # noqa: BLE001  (logged; the browser must get out of the way of no return)
            _LOG.exception("%s failed", CALLBACK_PATH)
            return self.failed(LoginError("failed"))
        response = self._landed(issued.session, target)
        set_tokens(self._site, response, issued)
        return response

    async def success(self, request: Request) -> Response:
        """The last hop: the browser has its cookies, and goes where it wanted to."""
        session = self._browsers.session(request)
        if session is None or not self._browsers.is_fresh(request, session):
            asked = only(request, REDIRECT)
            target = Target(asked if is_own_page(self._site, asked) else "")
            return redirect(f"{self._site.origin}/login{_with(target.query)}")
        if path := required_path(session):
            return redirect(self._site.origin + path)
        if is_pending(session):
            return redirect(f"{self._site.origin}/login")
        target = self._waiting.take_target(session.metadata.uid)
        if target.client is not None:
            self._waiting.ask(session.metadata.uid, target.client)
            return redirect(self._site.origin + APPROVAL_PATH)
        asked = only(request, REDIRECT)
        if is_own_page(self._site, asked):
            return redirect(asked)
        self.check_target(request, SUCCESS_PATH, request.url.query)
        return redirect(target.redirect or self._site.portal)

    def check_target(self, request: Request, path: str, query: str) -> None:
        """Have the log tell of who asks to be sent elsewhere; that is not done."""
        if asks_elsewhere(self._site, query):
            reason = f"the page that {REDIRECT!r} names is none of this Cluster, and is not used"
            self._logins.refuse(request, path.removeprefix("/"), reason)

    async def _parameters(self, request: Request) -> Mapping[str, str]:
        """Those that a provider sends, each at most once.

        A form is read only if it comes from a browser that a login began in: its cookie goes with
        forms of other sites too.

        Raises:
            BodyError, FormError: they cannot be read.
            LoginError: no login is this browser's.
        """
        if request.method == "POST":
            state = self._logins.begun(request)
            is_saml = state.provider.status.type == _SAML
            return await read_form(
                request, _MAX_SAML_ANSWER if is_saml else _MAX_ANSWER, wrapped=True
            )
        query: bytes = request.scope["query_string"]
        return parse_form(query[: 16 << 10])

    def _wanted(
        self, request: Request, uid: str, query: str
    ) -> tuple[core.IdentityProvider, Target]:
        """Where a login is to begin, and what for. Raises LoginError, which the log knows of."""
        if not comes_from(request, self._site.origin):
            self._logins.refuse(request, _BEGIN, "a page of another site asked for it")
            raise LoginError("again")
        try:
            target = target_of(self._site, query)
        except TargetError as error:
            self._logins.refuse(request, _BEGIN, str(error))
            raise LoginError("client") from error
        self.check_target(request, BEGIN_PATH, query)
        provider = offers.offer(self._logins.resources, uid)
        if provider is None:
            self._logins.refuse(request, _BEGIN, "nobody signs in by this IdentityProvider")
            raise LoginError("unavailable", target)
        return provider, target

    def failed(self, error: LoginError) -> Response:
        """Back to the login page, where one word says what to do."""
        query = error.target.query if error.target is not None else ""
        joined = "&".join(filter(None, (f"error={error.code}", query)))
        return redirect(f"{self._site.origin}/login?{joined}")

    def _landed(self, session: core.Session, target: Target) -> Response:
        uid = session.metadata.uid
        if path := wanted_path(session):
            self._waiting.keep_target(uid, target)
            return redirect(self._site.origin + path)
        if target.client is not None:
            self._waiting.keep_target(uid, target)
            return redirect(self._site.origin + SUCCESS_PATH)
        return redirect(f"{self._site.origin}{SUCCESS_PATH}{_with(target.query)}")

    async def _begin_json(self, request: Request) -> Response:
        fault = Response(status_code=400, headers={"Cache-Control": "no-store"})
        try:
            asked = _asked(request, await read_json(request, _MAX_JSON))
            provider, target = self._wanted(request, asked["uid"], asked.get("query", ""))
            url, state = await self._logins.begin(request, provider, target)
        except (BodyError, ValueError) as error:
            self._logins.refuse(request, _BEGIN, str(error))
            return fault
        except (ClientDisconnect, LoginError):
            return fault
        response = JSONResponse({"loginURL": url}, headers={"Cache-Control": "no-store"})
        set_login_state(self._site, response, state)
        return response


def _with(query: str) -> str:
    return f"?{query}" if query else ""


def _asked(request: Request, wanted: dict[str, Any]) -> dict[str, str]:
    """What Octelium's own login page sends. Raises ValueError for anything else."""
    if not {"uid", "userAgent"} <= wanted.keys():
        raise ValueError("uid and userAgent are wanted")
    if any(not isinstance(value, str) for value in wanted.values()):
        raise ValueError("all values are texts")
    agent = wanted["userAgent"]
    if request.headers.getlist("user-agent") != [agent] or _BROWSER.fullmatch(agent) is None:
        raise ValueError("the User-Agent is another one, or no browser's")
    if len(wanted.get("query", "")) > _MAX_QUERY:
        raise ValueError("the query is too long")
    return wanted
