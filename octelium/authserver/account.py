"""What a person is signed in with: the Sessions and the Devices of the same User."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect

from octelium.authserver import offers
from octelium.authserver.agents import agent_name
from octelium.authserver.body import BodyError, read_form
from octelium.authserver.cookies import clear_cookies, clear_login_state
from octelium.authserver.flow import redirect
from octelium.authserver.markup import (
    Markup,
    badge,
    beside,
    both,
    button,
    entries,
    heading,
    notice,
    paragraph,
    strong,
)
from octelium.authserver.moments import day, moment
from octelium.authserver.origins import comes_from
from octelium.authserver.requests import only
from octelium.identity import sessions
from octelium.identity.errors import AuthenticationError
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from octelium.authserver.csrf import FormTokens
    from octelium.authserver.oauth2 import Publish
    from octelium.authserver.pages import Pages
    from octelium.authserver.site import Site
    from octelium.identity.authentication import Authentication
    from octelium.schema.pb import meta_v1_pb2 as meta
    from octelium.store.resources import Resources

ACCOUNT_PATH: Final = "/account"
SIGN_OUT_PATH: Final = "/sign-out"
_AUTHENTICATORS: Final = "/authenticators"
_OPERATION: Final = "portal/account"
_MAX_BODY: Final = 4096
_SHOWN: Final = 200
"""Sessions that the page lists: the one that looks, then the latest."""
_WORDS: Final = {
    "ended": ("The Session has ended.", False),
    "others-ended": ("All your other Sessions have ended.", False),
    "failed": ("That did not work. Nothing has changed; please try again.", True),
}
_STATES: Final = core.SessionSpecState__.SessionSpecState
_DEVICE_STATES: Final = core.DeviceSpecState__.DeviceSpecState
_STATE_WORDS: Final = {
    int(core.SessionSpecState__.PENDING): "waits for an administrator's approval",
    int(core.SessionSpecState__.REJECTED): "an administrator has rejected it",
}
"""The states of Devices have the same numbers."""
_SYSTEMS: Final = {
    int(core.DeviceStatusOsType__.LINUX): "Linux",
    int(core.DeviceStatusOsType__.WINDOWS): "Windows",
    int(core.DeviceStatusOsType__.MAC): "macOS",
    int(core.DeviceStatusOsType__.ANDROID): "Android",
    int(core.DeviceStatusOsType__.IOS): "iOS",
    int(core.DeviceStatusOsType__.CHROMEOS): "ChromeOS",
}
_CLIENT: Final = core.SessionStatusType__.CLIENT


class Account:
    """The page about Sessions and Devices."""

    def __init__(
        self,
        site: Site,
        resources: Resources,
        pages: Pages,
        authentication: Authentication,
        publish: Publish,
        tokens: FormTokens,
        clock: Callable[[], float],
    ) -> None:
        self._site = site
        self._resources = resources
        self._pages = pages
        self._authentication = authentication
        self._publish = publish
        self._clock = clock
        self._tokens = tokens

    async def page(self, request: Request, user: core.User, session: core.Session) -> Response:
        """What there is; or what becomes of a Session that is to end."""
        if request.method == "POST":
            return await self._change(request, session)
        return self._show(request, user, session)

    def _show(self, request: Request, user: core.User, session: core.Session) -> Response:
        uid = session.metadata.uid
        token = {"token": self._tokens.of(uid)}
        own = list(self._own_sessions(user, session))
        blocks = [
            signed_in_as(user, SIGN_OUT_PATH, token),
            heading("Sessions"),
            entries(self._session(each, each.metadata.uid == uid, token) for each in own),
        ]
        if len(own) > 1:
            everything = {**token, "what": "others"}
            label = "End all other Sessions"
            blocks.append(button(ACCOUNT_PATH, label, everything, quiet=True))
        devices = list(self._devices(user, session))
        blocks.append(heading("Devices"))
        blocks.append(entries(devices) if devices else paragraph("You have no Devices."))
        word, bad = _WORDS.get(only(request, "done"), ("", False))
        return self._pages.page(
            "Sessions and devices",
            *([notice(word, bad=bad)] if word else []),
            *blocks,
            forms=("'self'", self._site.origin),
            menu=menu(self._site, ACCOUNT_PATH),
        )

    async def _change(self, request: Request, session: core.Session) -> Response:
        uid = session.metadata.uid
        form = await self._own_form(request, uid)
        if form is None:
            return self._done("failed")
        target = form.get("session", "")
        try:
            if form.get("what") == "others":
                await self._authentication.revoke_other_sessions(uid, operation=_OPERATION)
                done = "others-ended"
            elif form.get("what") == "one" and target != uid:
                await self._authentication.revoke_session(uid, target, operation=_OPERATION)
                done = "ended"
            else:
                return self._done("failed")
        except AuthenticationError:
            return self._done("failed")
        await self._publish()
        return self._done(done)

    async def sign_out(self, request: Request, _user: core.User, session: core.Session) -> Response:
        """End the Session itself."""
        uid = session.metadata.uid
        if await self._own_form(request, uid) is None:
            return self._done("failed")
        try:
            await self._authentication.revoke_session(uid, uid, operation=_OPERATION)
        except AuthenticationError:
            return self._done("failed")
        await self._publish()
        response = redirect(f"{self._site.origin}/login?done=signed-out")
        clear_cookies(self._site, response)
        clear_login_state(self._site, response)
        return response

    async def _own_form(self, request: Request, uid: str) -> dict[str, str] | None:
        """The form that was sent, if it is one that the Portal showed to the Session."""
        try:
            form = await read_form(request, _MAX_BODY)
        except (BodyError, ClientDisconnect):
            return None
        token = form.get("token", "")
        is_own = comes_from(request, self._site.portal) and self._tokens.is_of(token, uid)
        return form if is_own else None

    def _done(self, word: str) -> Response:
        return redirect(f"{self._site.portal}{ACCOUNT_PATH}?done={word}")

    def _own_sessions(self, user: core.User, session: core.Session) -> list[core.Session]:
        by = {"status.userRef": user.metadata.uid}
        found = [
            each
            for each in self._resources.peek_all(core.Session, by=by)
            if not sessions.is_over(each, self._clock())
        ]
        found.sort(
            key=lambda each: (
                each.metadata.uid != session.metadata.uid,
                -each.status.authentication.set_at.seconds,
            )
        )
        return found[:_SHOWN]

    def _session(
        self, session: core.Session, is_this: bool, token: dict[str, str]
    ) -> tuple[Markup | str, str, Markup]:
        status = session.status
        info = status.authentication.info
        began = status.initial_authentication.info
        name = agent_name(info.downstream.user_agent or began.downstream.user_agent)
        about = [_kind(session)]
        if began.HasField("identity_provider"):
            about.append(f"by {self._provider(began.identity_provider.identity_provider_ref)}")
        if address := info.downstream.ip_address or began.downstream.ip_address:
            about.append(address)
        if session.spec.state != _STATES.ACTIVE:
            about.append(_STATE_WORDS.get(session.spec.state, ""))
        lines = "\n".join((" · ".join(about), *_times(session)))
        if is_this:
            return both(strong(name), badge("this one")), lines, Markup("")
        fields = {**token, "what": "one", "session": session.metadata.uid}
        spoken = f"End the Session {session.metadata.name}, {name}"
        end = button(ACCOUNT_PATH, "End", fields, quiet=True, spoken=spoken)
        return strong(name), lines, end

    def _provider(self, ref: meta.ObjectReference) -> str:
        """What people call an IdentityProvider, which may be gone."""
        found = self._resources.peek(core.IdentityProvider, uid=ref.uid) if ref.uid else None
        return ref.name if found is None else offers.label(found)

    def _devices(
        self, user: core.User, session: core.Session
    ) -> Iterator[tuple[Markup | str, str, Markup]]:
        by = {"status.userRef": user.metadata.uid}
        for device in self._resources.peek_all(core.Device, by=by):
            status = device.status
            about = [_SYSTEMS.get(status.os_type, "unknown system")]
            if device.spec.state != _DEVICE_STATES.ACTIVE:
                about.append(_STATE_WORDS.get(device.spec.state, ""))
            if status.is_locked:
                about.append("locked")
            name = strong(status.hostname or device.metadata.name)
            if session.status.device_ref.uid == device.metadata.uid:
                name = both(name, badge("this one"))
            times = [f"registered {day(device.metadata.created_at.seconds)}"]
            if used := self._last_use(device):
                times.append(f"last used {moment(used)}")
            yield name, "\n".join((" · ".join(about), *times)), Markup("")

    def _last_use(self, device: core.Device) -> int:
        """When a Session on a Device was last signed in or renewed; 0 if none is left."""
        by = {"status.deviceRef": device.metadata.uid}
        on_it = self._resources.peek_all(core.Session, by=by)
        return max((each.status.authentication.set_at.seconds for each in on_it), default=0)


def menu(site: Site, here: str) -> list[tuple[str, str]]:
    """The pages of a person; `here` is the path of the one that shows it."""
    items = [
        ("/", site.portal, "Services"),
        (ACCOUNT_PATH, site.portal + ACCOUNT_PATH, "Sessions"),
        (_AUTHENTICATORS, site.origin + _AUTHENTICATORS, "Authenticators"),
    ]
    return [("" if path == here else url, label) for path, url, label in items]


def signed_in_as(user: core.User, action: str, fields: Mapping[str, str]) -> Markup:
    """Who is signed in, and the way out: a form that posts `fields` to `action`."""
    name = user.metadata.display_name or user.metadata.name
    out = button(action, "Sign out", fields, quiet=True)
    return beside(paragraph("Signed in as ", strong(name), "."), out)


def _kind(session: core.Session) -> str:
    if session.status.is_browser:
        return "browser"
    return "client" if session.status.type == _CLIENT else "program"


def _times(session: core.Session) -> list[str]:
    """From when to when a Session is, and when it was last heard of."""
    began = session.status.initial_authentication.set_at.seconds
    renewed = session.status.authentication.set_at.seconds
    told = [f"signed in {moment(began or renewed)}"]
    if session.status.is_connected:
        told.append(f"connected since {moment(session.status.connection.started_at.seconds)}")
    elif began and renewed > began:
        told.append(f"last renewed {moment(renewed)}")
    return [*told, f"ends {moment(session.spec.expires_at.seconds)}"]
