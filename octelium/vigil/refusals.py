"""What a client gets when Octelium itself answers."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from http import HTTPStatus
from string import Template
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from octelium.http.message import Field, FieldBlock
from octelium.policy.decision import Decision, Outcome, ReasonType
from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.errors import Absence
from octelium.vigil.rules import HSTS, SERVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.http.message import RequestHead
    from octelium.http.target import Target
    from octelium.vigil.errors import NotReady

MARK: Final = (b"x-octelium-unauthorized", b"true")
"""Tells Octelium's own refusals from an upstream's."""

REQUEST_ID: Final = b"x-octelium-request-id"
"""Names the entry of the access log that says why Octelium itself answered."""

_STYLE: Final = (
    ":root{--ground:#f4f5f7;--card:#fff;--text:#1b2230;--line:#d8dce4;--accent:#1f5fbf}"
    "@media(prefers-color-scheme:dark)"
    "{:root{--ground:#12151b;--card:#1a1f28;--text:#e6e9ef;--line:#303747;--accent:#86b4ff}}"
    "body{margin:0 auto;padding:clamp(1rem,6vh,5rem) 1rem;max-width:42rem;"
    "background:var(--ground);color:var(--text);font:1rem/1.6 system-ui,sans-serif}"
    "main{padding:clamp(1.25rem,5vw,2.25rem);background:var(--card);"
    "border:1px solid var(--line);border-radius:.75rem}"
    "h1{margin:0 0 1rem;font-size:1.5rem;line-height:1.25}"
    "a{color:var(--accent)}code{overflow-wrap:anywhere}p:last-child{margin-bottom:0}"
)
_STYLE_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()
_PAGE: Final = Template(
    '<!doctype html><html lang="en"><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'
    f"<title>You may not open this</title><style>{_STYLE}</style>"
    "<main><h1>You may not open this</h1>"
    "<p>The policies of this Cluster do not allow this request.</p>"
    '<p><a href="$why">Why?</a></p><p>Request <code>$entry</code></p></main></html>\n'
)
_FAILURES: Final = {
    413: "{name} takes no request as large as this.",
    500: "{name} cannot be served as it is configured. The Cluster's log says why.",
    502: "{name} does not answer. If it is yours: is its server running?",
    503: "{name} is busy. Try again in a moment.",
    504: "{name} does not answer. If it is yours: is its server running?",
}
AGAIN: Final = 5
"""Seconds after which whoever meets a container that is not ready may ask again."""
_NOT_READY: Final = {
    Absence.UNMANAGED: (
        "{name} is not available",
        "{name} runs in a container, and this Cluster has no controller that would start it.",
    ),
    Absence.STARTING: ("{name} is starting", "{name} is starting. Try again in a moment."),
    Absence.ABANDONED: (
        "{name} is not available",
        "{name} runs in a container, and nothing starts it now: no controller is connected.",
    ),
    Absence.FAILING: ("{name} is not available", "The container of {name} is not ready{why}."),
}
"""Title and text."""
_OWNERS: Final = " If it is yours: `octeliumctl describe service {name}` tells more."
_LOOKS_AGAIN: Final = f"This page looks again every {AGAIN} seconds."
_REFRESH: Final = f'<meta http-equiv="refresh" content="{AGAIN}">'
_FAILURE_PAGE: Final = Template(
    '<!doctype html><html lang="en"><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'
    f"$refresh<title>$title</title><style>{_STYLE}</style>"
    "<main><h1>$title</h1><p>$text</p>$entry</main></html>\n"
)
_TEXT_FIELDS: Final = ((b"content-type", b"text/plain; charset=utf-8"),)
_PAGE_FIELDS: Final = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'".encode(),
    ),
)

_browser = re.compile(rb"\AMozilla/5\.0 \(").search
_quoted = re.compile("`([^`]+)`").sub
_robot = re.compile(rb"(?i)bot|crawl|spider|slurp").search


class Answer(NamedTuple):
    """A complete response."""

    status: int
    block: FieldBlock
    body: bytes = b""


class Site(NamedTuple):
    """Where a Service's clients find it, and where they log in. URLs have no final slash."""

    login: str
    """`https://<domain>[:port]`."""
    public: str | None
    """`https://<public name>[:port]`, None if the Service is not public."""
    front: bool


def own_fields(*, front: bool) -> list[Field]:
    """What every answer of Octelium's own carries."""
    return [SERVER, HSTS] if front else [SERVER]


def identified(entry: bytes) -> list[Field]:
    """The field that names the log entry of the answer; none without an id."""
    return [(REQUEST_ID, entry)] if entry else []


def plain(status: int, *, front: bool, extra: Sequence[Field] = ()) -> Answer:
    """A bare status without a body."""
    fields = [*own_fields(front=front), *extra, (b"content-length", b"0")]
    return Answer(status, FieldBlock(fields))


def explained(status: int, text: bytes, *, front: bool, extra: Sequence[Field] = ()) -> Answer:
    """A refusal that says why in plain text."""
    body = text + b"\n"
    fields = [
        *own_fields(front=front),
        *extra,
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-length", b"%d" % len(body)),
    ]
    return Answer(status, FieldBlock(fields), body)


def upstream_failure(
    status: int,
    service: str,
    head: RequestHead,
    *,
    front: bool,
    extra: Sequence[Field] = (),
    entry: bytes = b"",
) -> Answer:
    """The answer when the upstream of the Service `service` has none: what is the matter.

    Browsers get a page. `entry` is the id of the request's log entry, empty if there is none.
    """
    text = _FAILURES.get(status, "{name} cannot be served.").format(
        name=service.removesuffix(".default")
    )
    return _failure(status, text, head, front=front, extra=extra, entry=entry)


def not_ready(
    problem: NotReady,
    service: str,
    head: RequestHead,
    *,
    front: bool,
    known: bool,
    extra: Sequence[Field] = (),
    entry: bytes = b"",
) -> Answer:
    """The answer while the container of the Service `service` is not there, and when to ask again.

    As `upstream_failure`. A page that is about to change looks again by itself. Callers that are
    not `known` do not learn why a container fails.
    """
    absence, name = problem.absence, service.removesuffix(".default")
    title, text = _NOT_READY[absence]
    why = f": {problem.reason}" if problem.reason and known else ""
    text = text.format(name=name, why=why)
    if known and absence is not Absence.STARTING:
        text += _OWNERS.format(name=name)
    refresh = absence is Absence.STARTING and head.method == b"GET"
    if refresh and _shows_pages(head):
        text = _LOOKS_AGAIN
    extra = (*extra, (b"retry-after", b"%d" % AGAIN))
    return _failure(
        503,
        text,
        head,
        title=title.format(name=name),
        refresh=refresh,
        front=front,
        extra=extra,
        entry=entry,
    )


def _failure(
    status: int,
    text: str,
    head: RequestHead,
    *,
    front: bool,
    extra: Sequence[Field],
    entry: bytes,
    title: str = "",
    refresh: bool = False,
) -> Answer:
    """A page for browsers, a line of text for others; without a title it is the status's phrase."""
    phrase = HTTPStatus(status).phrase
    page = _shows_pages(head)
    if page:
        shown = f"<p>Request <code>{escape(entry.decode())}</code></p>" if entry else ""
        about = _FAILURE_PAGE.substitute(
            refresh=_REFRESH if refresh else "",
            title=escape(title or phrase),
            text=_quoted("<code>\\1</code>", escape(text)),
            entry=shown,
        )
        body = about.encode()
    else:
        body = f"{phrase}: {text}".encode()
    fields = [
        *own_fields(front=front),
        *extra,
        *(_PAGE_FIELDS if page else _TEXT_FIELDS),
        (b"content-length", b"%d" % len(body)),
    ]
    return Answer(status, FieldBlock(fields), body)


def refusal(
    decision: Decision,
    head: RequestHead,
    target: Target,
    site: Site,
    extra: Sequence[Field] = (),
    entry: bytes = b"",
) -> Answer:
    """The HTTP form of a decision that does not allow. `entry` is the id of its log entry."""
    extra = (*extra, *identified(entry))
    outcome = decision.outcome
    if outcome is Outcome.BAD_REQUEST:
        return plain(400, front=site.front, extra=extra)
    if outcome is Outcome.UNAUTHENTICATED:
        location = _login(head, target, site)
        status = 401
    elif outcome is Outcome.DENIED:
        location = _denied(decision, head, site, entry)
        status = 403
    else:
        return plain(500, front=site.front, extra=extra)
    if location is not None:
        return plain(303, front=site.front, extra=((b"location", location), MARK, *extra))
    if status == 403 and entry and decision.user is not None and _shows_pages(head):
        return _page(site, extra, entry)
    return plain(status, front=site.front, extra=(MARK, *extra))


def _page(site: Site, extra: Sequence[Field], entry: bytes) -> Answer:
    """A refusal for a reader who cannot be sent elsewhere."""
    why = escape(_why(site, entry).decode())
    body = _PAGE.substitute(why=why, entry=escape(entry.decode())).encode()
    length = (b"content-length", b"%d" % len(body))
    fields = [*own_fields(front=site.front), MARK, *extra, *_PAGE_FIELDS, length]
    return Answer(403, FieldBlock(fields), body)


def _why(site: Site, entry: bytes) -> bytes:
    """Where a person reads why; the page shows nothing to others."""
    return f"{site.login}/denied".encode() + (b"?id=" + entry if entry else b"")


def _wants_page(head: RequestHead) -> bool:
    return head.method == b"GET" and _shows_pages(head)


def _shows_pages(head: RequestHead) -> bool:
    return head.method != b"HEAD" and any(
        b"text/html" in value for value in head.block.all(b"accept")
    )


def _login(head: RequestHead, target: Target, site: Site) -> bytes | None:
    """Where a browser without identity is sent; None for anything else than a browser."""
    agent = head.block.first(b"user-agent") or b""
    if not _wants_page(head) or not 3 <= len(agent) <= 300:
        return None
    if not _browser(agent) or _robot(agent):
        return None
    if site.public is None:
        return f"{site.login}/login".encode()
    back = quote(site.public.encode() + target.wire, safe="")
    return f"{site.login}/login?redirect={back}".encode()


def _denied(decision: Decision, head: RequestHead, site: Site, entry: bytes) -> bytes | None:
    """Where a browser of a person is sent who may not enter; workloads stay where they are."""
    user = decision.user
    if user is None or user.type != core.UserSpecType__.HUMAN or not _wants_page(head):
        return None
    return _why(site, entry)


_GRPC_STATUS: Final = {
    Outcome.UNAUTHENTICATED: (b"16", b"Octelium: Unauthenticated"),
    Outcome.DENIED: (b"7", b"Octelium: Unauthorized"),
}


_PENDING: Final = int(core.SessionSpecState__.PENDING)
_OWN: Final = {
    ReasonType.SESSION_LOCKED: "the Session {session} is locked",
    ReasonType.USER_LOCKED: "your User is locked",
    ReasonType.USER_DEACTIVATED: "your User is disabled",
    ReasonType.DEVICE_NOT_ACTIVE: "an administrator has not approved this Device",
    ReasonType.DEVICE_LOCKED: "this Device is locked",
    ReasonType.AUTHENTICATOR_AUTHENTICATION_REQUIRED: "an Authenticator has to confirm the "
    "Session {session} first",
    ReasonType.AUTHENTICATOR_REGISTRATION_REQUIRED: "you have to register an Authenticator first",
}
"""What is said of reasons that lie with whoever asks, not with policies."""


def _own_reason(decision: Decision) -> bytes:
    """What a caller who is known is told of its own Session, User or Device; else empty."""
    session, reason = decision.session, decision.reason.type
    if session is None or decision.outcome is not Outcome.DENIED:
        return b""
    if reason is ReasonType.SESSION_NOT_ACTIVE:
        if session.state != _PENDING:
            return f": an administrator has rejected the Session {session.name}".encode()
        return (
            f": the Session {session.name} waits for approval; an administrator approves it by "
            f"octeliumctl update session {session.name} --approve"
        ).encode()
    text = _OWN.get(reason)
    return b"" if text is None else f": {text.format(session=session.name)}".encode()


def grpc_refusal(
    decision: Decision, *, front: bool, entry: bytes = b"", extra: Sequence[Field] = ()
) -> Answer:
    """The gRPC form: a response of trailers only; failures of the decision stay HTTP's.

    After the fixed words it says why, if the reason lies with the caller itself.
    """
    extra = (*extra, *identified(entry))
    known = _GRPC_STATUS.get(decision.outcome)
    if known is None:
        status = 400 if decision.outcome is Outcome.BAD_REQUEST else 500
        return plain(status, front=front, extra=extra)
    number, message = known
    message += _own_reason(decision)
    return grpc_status(number, message, front=front, extra=(MARK, *extra))


def grpc_status(
    number: bytes, message: bytes, *, front: bool, extra: Sequence[Field] = ()
) -> Answer:
    """A gRPC response that is nothing but its status."""
    fields = [
        (b"content-type", b"application/grpc"),
        (b"grpc-status", number),
        (b"grpc-message", message),
        *extra,
        *own_fields(front=front),
    ]
    return Answer(200, FieldBlock(fields))
