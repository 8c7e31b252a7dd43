"""What a client gets when Octelium itself answers."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from octelium.http.message import Field, FieldBlock
from octelium.policy.decision import Decision, Outcome
from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.rules import HSTS, SERVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.http.message import RequestHead
    from octelium.http.target import Target

MARK: Final = (b"x-octelium-unauthorized", b"true")
"""Tells Octelium's own refusals from an upstream's."""

_browser = re.compile(rb"\AMozilla/5\.0 \(").search
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


def plain(status: int, *, front: bool, extra: Sequence[Field] = ()) -> Answer:
    """A bare status without a body."""
    fields = [*own_fields(front=front), *extra, (b"content-length", b"0")]
    return Answer(status, FieldBlock(fields))


def upstream_failure(status: int, *, front: bool, extra: Sequence[Field] = ()) -> Answer:
    """The answer when the upstream has none: its status' text."""
    body = HTTPStatus(status).phrase.encode()
    fields = [
        *own_fields(front=front),
        *extra,
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
    ]
    return Answer(status, FieldBlock(fields), body)


def refusal(
    decision: Decision, head: RequestHead, target: Target, site: Site, extra: Sequence[Field] = ()
) -> Answer:
    """The HTTP form of a decision that does not allow."""
    outcome = decision.outcome
    if outcome is Outcome.BAD_REQUEST:
        return plain(400, front=site.front, extra=extra)
    if outcome is Outcome.UNAUTHENTICATED:
        location = _login(head, target, site)
        status = 401
    elif outcome is Outcome.DENIED:
        location = _denied(decision, head, site)
        status = 403
    else:
        return plain(500, front=site.front, extra=extra)
    if location is None:
        return plain(status, front=site.front, extra=(MARK, *extra))
    return plain(303, front=site.front, extra=((b"location", location), MARK, *extra))


def _wants_page(head: RequestHead) -> bool:
    return head.method == b"GET" and any(
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


def _denied(decision: Decision, head: RequestHead, site: Site) -> bytes | None:
    """Where a browser of a person is sent who may not enter; workloads get a bare status."""
    user = decision.user
    if user is None or user.type != core.UserSpecType__.HUMAN or not _wants_page(head):
        return None
    return f"{site.login}/denied".encode()


_GRPC_STATUS: Final = {
    Outcome.UNAUTHENTICATED: (b"16", b"Octelium: Unauthenticated"),
    Outcome.DENIED: (b"7", b"Octelium: Unauthorized"),
}


def grpc_refusal(decision: Decision, *, front: bool) -> Answer:
    """The gRPC form: a response of trailers only; failures of the decision stay HTTP's."""
    known = _GRPC_STATUS.get(decision.outcome)
    if known is None:
        status = 400 if decision.outcome is Outcome.BAD_REQUEST else 500
        return plain(status, front=front)
    return grpc_status(*known, front=front, extra=(MARK,))


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
