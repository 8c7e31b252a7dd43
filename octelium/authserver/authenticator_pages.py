"""A person's own Authenticators: what there is, how one is registered, how one is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from starlette.requests import ClientDisconnect

from octelium.authserver import offers
from octelium.authserver.account import menu, signed_in_as
from octelium.authserver.body import BodyError, read_form
from octelium.authserver.browsers import (
    AUTHENTICATE_PATH,
    INVITED_PATH,
    REGISTER_PATH,
    began_with_authenticator,
    required_path,
)
from octelium.authserver.ceremony import new_authenticator, password_form, qr_code, security_key
from octelium.authserver.cookies import REFRESH, cookie, set_tokens
from octelium.authserver.flow import SUCCESS_PATH, redirect
from octelium.authserver.markup import (
    Markup,
    aside,
    button,
    buttons,
    command,
    entries,
    heading,
    link,
    notice,
    onward,
    paragraph,
    strong,
)
from octelium.authserver.moments import day, moment
from octelium.authserver.origins import comes_from
from octelium.authserver.requests import only
from octelium.authserver.targets import Target
from octelium.identity.authenticators import passkey_logins, uses
from octelium.identity.authenticators.authenticators import Asking
from octelium.identity.authenticators.errors import ProofNeededError, WrongResponseError
from octelium.identity.authenticators.registration import Response as Answer
from octelium.identity.errors import AuthenticationError
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
    from octelium.authserver.waiting import Waiting
    from octelium.identity.authenticators.authenticators import Authenticators
    from octelium.identity.authenticators.registration import Challenge
    from octelium.store.resources import Resources

LIST_PATH: Final = "/authenticators"
LOGOUT_PATH: Final = "/logout"
FINISH_PATH: Final = "/authenticators/register/finish"
DELETE_PATH: Final = "/authenticators/delete"
MAX_FORM: Final = 100 << 10
"""A response of WebAuthn has 30,000 characters at most, each of three bytes in a form."""
_TYPES: Final = core.AuthenticatorStatusType__
_ACTIONS: Final = core.SessionStatusAuthenticatorAction__
_ASKED: Final = (_ACTIONS.REGISTRATION_REQUIRED, _ACTIONS.REGISTRATION_RECOMMENDED)
_WORDS: Final = {
    "registered": "It is registered.",
    "removed": "It is removed.",
}
_INVITE: Final = "Without it an administrator must invite you again."
_SECOND: Final = (
    "A passkey or security key serves as a second proof here, not to sign in by itself."
)
_NEW: Final = (("fido", "Add a security key or passkey"), ("totp", "Add an authenticator app"))
_WAYS: Final = (("fido", "Security key or passkey"), ("totp", "Authenticator app"))
_CHOICE: Final = {"totp": _TYPES.TOTP, "fido": _TYPES.FIDO}


class AuthenticatorPages:
    """The pages below `/authenticators` where a person manages them."""

    def __init__(
        self,
        site: Site,
        pages: Pages,
        browsers: Browsers,
        waiting: Waiting,
        authenticators: Authenticators,
        publish: Publish,
        resources: Resources,
    ) -> None:
        self._site = site
        self._pages = pages
        self._browsers = browsers
        self._waiting = waiting
        self._authenticators = authenticators
        self._publish = publish
        self._resources = resources

    async def list(self, request: Request) -> Response:
        """What there is."""
        session = self._browsers.session(request)
        if session is None:
            return redirect(f"{self._site.origin}/login")
        if path := required_path(session):
            return redirect(self._site.origin + path)
        return await self._list(request, session, _WORDS.get(only(request, "done"), ""))

    async def register(self, request: Request) -> Response:
        """Which kind to register, and then how."""
        session = self._browsers.session(request)
        if session is None:
            return redirect(f"{self._site.origin}/login")
        if is_invited(session):
            return redirect(self._site.origin + INVITED_PATH)
        if request.method != "POST":
            return self._choice(session)
        form = await self._form(request)
        kind = _CHOICE.get((form or {}).get("type", ""))
        if form is None or kind is None:
            return self._choice(session, "That did not work. Please try again.")
        asking = _asking(request)
        try:
            ref = await self._unregistered(asking, kind, form.get("name", "").strip())
            challenge = await self._authenticators.register_begin(asking, ref)
        except ProofNeededError:
            return self._prove(session, REGISTER_PATH)
        except AuthenticationError as error:
            return self._choice(session, sentence(error.answer))
        return self._steps(challenge, session)

    async def finish(self, request: Request) -> Response:
        """Take what the new Authenticator answers."""
        session = self._browsers.session(request)
        if session is None:
            return redirect(f"{self._site.origin}/login")
        form = await self._form(request)
        kind = _CHOICE.get((form or {}).get("type", ""))
        if form is None or kind is None:
            return self._choice(session, "That did not work. Please try again.")
        asked = session.status.authenticator_action in _ASKED
        asking, ref = _asking(request), meta.ObjectReference(uid=form.get("uid", ""))
        try:
            answer = Answer(kind, form.get("response", ""))
            issued = await self._authenticators.register_finish(asking, ref, answer)
        except WrongResponseError as error:
            if kind != _TYPES.TOTP:
                return self._choice(session, f"{sentence(error.answer)} Please try again.")
            return await self._again(session, asking, ref)
        except AuthenticationError as error:
            return self._choice(session, sentence(error.answer))
        await self._publish()
        path = SUCCESS_PATH if asked else f"{LIST_PATH}?done=registered"
        url = self._site.origin + path
        about = paragraph("It is registered.")
        response: Response = self._pages.onward(url, "Registered", about, onward(url, "Continue"))
        if issued is not None:
            set_tokens(self._site, response, issued)
        return response

    async def delete(self, request: Request) -> Response:
        """Remove one, once the person has said so again."""
        session = self._browsers.session(request)
        if session is None:
            return redirect(f"{self._site.origin}/login")
        form = await self._form(request)
        if form is None:
            told = "That did not work. Please try again."
            return await self._list(request, session, told, bad=True)
        asking, ref = _asking(request), meta.ObjectReference(uid=form.get("uid", ""))
        try:
            if form.get("sure") != "yes":
                return self._sure(session, await self._authenticators.get(asking, ref))
            await self._authenticators.delete(asking, ref)
        except ProofNeededError:
            return self._prove(session, LIST_PATH)
        except AuthenticationError as error:
            return await self._list(request, session, sentence(error.answer), bad=True)
        await self._publish()
        return redirect(f"{self._site.origin}{LIST_PATH}?done=removed")

    def _prove(self, session: core.Session, back: str) -> Response:
        """First the page where the person uses an Authenticator, then `back`."""
        target = Target(redirect=self._site.origin + back)
        self._waiting.keep_target(session.metadata.uid, target)
        return redirect(self._site.origin + AUTHENTICATE_PATH)

    def _sure(self, session: core.Session, one: core.Authenticator) -> Response:
        """Whether the person wants one to be removed."""
        told = "It then proves nothing any more. This cannot be undone."
        user = self._resources.peek(core.User, uid=session.status.user_ref.uid)
        if user is not None and is_only_way(self._resources, user, one):
            told = f"This is your only way to sign in. {_INVITE}"
        return self._pages.page(
            f"Remove {label(one)}?",
            paragraph(told),
            buttons([button(DELETE_PATH, "Remove", {"uid": one.metadata.uid, "sure": "yes"})]),
            paragraph(link(self._site.origin + LIST_PATH, "Cancel")),
            forms=("'self'",),
        )

    async def _list(
        self, request: Request, session: core.Session, told: str, *, bad: bool = False
    ) -> Response:
        try:
            page = await self._authenticators.list(_asking(request), meta.CommonListOptions())
        except AuthenticationError:
            return redirect(f"{self._site.origin}/login")
        known = [one for one in page.items if one.status.is_registered]
        blocks = [notice(told, bad=bad)] if told else []
        user = self._resources.peek(core.User, uid=session.status.user_ref.uid)
        if user is not None:
            blocks.append(signed_in_as(user, LOGOUT_PATH, {}))
        if known:
            blocks.append(entries(map(_entry, known)))
        elif began_with_authenticator(session):
            blocks.append(paragraph(f"You have none, and so no way to sign in again. {_INVITE}"))
        else:
            blocks.append(
                paragraph("You have none yet. One protects you if somebody else gets to sign in.")
            )
        return self._pages.page(
            "Authenticators",
            *blocks,
            heading("Add another" if known else "Add your first"),
            new_authenticator(REGISTER_PATH, _NEW),
            forms=("'self'",),
            menu=menu(self._site, LIST_PATH),
        )

    def _choice(self, session: core.Session, told: str = "") -> Response:
        blocks = [notice(told, bad=True)] if told else []
        more: list[tuple[str, str]] = []
        action = session.status.authenticator_action
        if action == _ACTIONS.REGISTRATION_REQUIRED:
            blocks.append(
                paragraph("This Cluster wants a second proof that it is you. Choose what to use.")
            )
        else:
            blocks.append(paragraph("It proves that it is you, besides your usual sign-in."))
            if not self._signs_in(session):
                blocks.append(aside(_SECOND))
        blocks.append(new_authenticator(REGISTER_PATH, _WAYS))
        if action == _ACTIONS.REGISTRATION_RECOMMENDED:
            blocks.append(paragraph(link(self._site.origin + SUCCESS_PATH, "Not now")))
        elif action != _ACTIONS.REGISTRATION_REQUIRED:
            more = menu(self._site, "")
            blocks.append(paragraph(link(self._site.origin + LIST_PATH, "Cancel")))
        blocks.append(_sign_out())
        status = 400 if told else 200
        return self._pages.page(
            "Register an Authenticator", *blocks, forms=("'self'",), menu=more, status=status
        )

    def _signs_in(self, session: core.Session) -> bool:
        """Whether a passkey that the person registers signs in by itself."""
        config = self._resources.peek(core.ClusterConfig, name="default")
        return passkey_logins.is_enabled(config or core.ClusterConfig()) or (
            passkey_logins.is_followed(self._resources, session.status.user_ref.uid)
        )

    def _steps(self, challenge: Challenge, session: core.Session, told: str = "") -> Response:
        """How the Authenticator is registered."""
        blocks = [notice(told, bad=True)] if told else []
        required = session.status.authenticator_action == _ACTIONS.REGISTRATION_REQUIRED
        back = self._site.origin + (REGISTER_PATH if required else LIST_PATH)
        ways = [paragraph(link(back, "Back" if required else "Cancel")), _sign_out()]
        uid = challenge.authenticator.metadata.uid
        if challenge.authenticator.status.type == _TYPES.FIDO:
            form = security_key(
                FINISH_PATH,
                challenge.text,
                {"uid": uid, "type": "fido"},
                "Ask again",
                create=True,
            )
            about = [paragraph("Your browser asks for a security key, or makes a passkey.")]
            if not self._signs_in(session):
                about.append(aside(_SECOND))
            return self._pages.page(
                "Register a security key or passkey",
                *about,
                form,
                *ways,
                forms=("'self'",),
                script=True,
            )
        return self._pages.page(
            "Register an authenticator app",
            *blocks,
            paragraph("Scan this picture with the app on your phone."),
            qr_code(challenge.text, "A QR code that holds the key that stands below as text."),
            aside("Or type this key into the app:"),
            command(_key(challenge.text)),
            password_form(
                FINISH_PATH,
                {"uid": uid, "type": "totp"},
                "Code that the app shows",
                "Register",
                "Six digits, which change every 30 seconds.",
            ),
            *ways,
            forms=("'self'",),
            status=400 if told else 200,
        )

    async def _again(
        self, session: core.Session, asking: Asking, ref: meta.ObjectReference
    ) -> Response:
        try:
            challenge = await self._authenticators.register_begin(asking, ref)
        except AuthenticationError as error:
            return self._choice(session, sentence(error.answer))
        told = "That is not the code of this moment. Is the clock of the phone right?"
        return self._steps(challenge, session, told)

    async def _unregistered(self, asking: Asking, kind: int, name: str) -> meta.ObjectReference:
        """One that was begun and not finished, or a new one; called `name`."""
        page = await self._authenticators.list(asking, meta.CommonListOptions())
        for one in page.items:
            if one.status.type == kind and not one.status.is_registered:
                ref = meta.ObjectReference(uid=one.metadata.uid)
                if name != one.spec.display_name:
                    await self._authenticators.rename(asking, ref, name)
                return ref
        made = await self._authenticators.create(asking, kind, name)
        return meta.ObjectReference(uid=made.metadata.uid)

    async def _form(self, request: Request) -> dict[str, str] | None:
        """The fields that a page of the login host posted; None if it was not one."""
        return await own_form(request, self._site.origin)


async def own_form(request: Request, origin: str) -> dict[str, str] | None:
    """The fields of a form of the Cluster's own pages; None for anything else."""
    try:
        form = await read_form(request, MAX_FORM)
    except (BodyError, ClientDisconnect):
        return None
    return form if comes_from(request, origin) else None


def sentence(answer: str) -> str:
    """The text of a refusal as people read it."""
    return f"{answer[:1].upper()}{answer[1:]}."


def label(authenticator: core.Authenticator) -> str:
    """What a person calls it."""
    unnamed = authenticator.metadata.name
    if authenticator.status.type == _TYPES.TOTP:
        unnamed = "Authenticator app"
    return authenticator.spec.display_name or unnamed


def _asking(request: Request) -> Asking:
    return Asking(cookie(request, REFRESH), request.url.path.removeprefix("/"))


def is_only_way(resources: Resources, user: core.User, one: core.Authenticator) -> bool:
    """Whether a User who was invited could not sign in any more without this passkey.

    Anybody who may sign in by an IdentityProvider could: its name or the User's address says so.
    """
    if not passkey_logins.is_labelled(one):
        return False
    others = [
        each
        for each in resources.peek_all(core.Authenticator, by={"status.userRef": user.metadata.uid})
        if each.metadata.uid != one.metadata.uid and passkey_logins.is_labelled(each)
    ]
    by_provider = user.spec.email or user.spec.authentication.identities
    return not others and not (by_provider and offers.offered(resources))


def _sign_out() -> Markup:
    return buttons([button(LOGOUT_PATH, "Sign out", {}, quiet=True)])


def _entry(one: core.Authenticator) -> tuple[Markup, str, Markup]:
    states = core.AuthenticatorSpecState__
    about = one.status.description
    if one.spec.state == states.PENDING:
        about += " · waits for an administrator's approval"
    elif one.spec.state != states.ACTIVE:
        about += " · an administrator has rejected it"
    times = [f"added {day(one.metadata.created_at.seconds)}"]
    if used := uses.last(one):
        times.append(f"last used {moment(used)}")
    about = "\n".join(filter(None, (about, *times)))
    remove = button(
        DELETE_PATH,
        "Remove",
        {"uid": one.metadata.uid},
        quiet=True,
        spoken=f"Remove {label(one)}",
    )
    return strong(label(one)), about, remove


def _key(url: str) -> str:
    """The secret of an `otpauth:` URL in groups of four."""
    (secret,) = parse_qs(urlsplit(url).query)["secret"]
    return " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
