from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

import pytest

from octelium.http.h1.requests import parse_request
from octelium.http.section import parse_section
from octelium.http.target import normalise
from octelium.policy.decision import Decision, Outcome, Reason, ReasonType
from octelium.replica.entries import ServiceEntry, SessionEntry, UserEntry
from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.errors import Absence, NotReady
from octelium.vigil.refusals import (
    REQUEST_ID,
    Answer,
    Site,
    grpc_refusal,
    not_ready,
    plain,
    refusal,
    upstream_failure,
)
from tests.vigil.world import service, session, user

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36"
STATES = core.SessionSpecState__
ENTRY = b"abcd-efgh-24-0000-000z"
SITE = Site("https://c.example", "https://wiki.c.example", front=True)


def decide(outcome: Outcome, *, human: bool | None = None) -> Decision:
    message = service()
    entry = ServiceEntry(message.metadata.uid, message.metadata.name, message.SerializeToString())
    who = None
    if human is not None:
        person = user(human=human)
        who = UserEntry(person.metadata.uid, "alice", person.SerializeToString())
    return Decision(outcome, Reason(ReasonType.NO_POLICY_MATCH), entry, user=who)


def own_session(state: Any) -> SessionEntry:
    message = session()
    message.spec.state = state
    metadata = message.metadata
    return SessionEntry(metadata.uid, metadata.name, message.SerializeToString())


def ask(
    decision: Decision,
    *,
    method: str = "GET",
    target: str = "/a?b=1&c=d e".replace(" ", "%20"),
    accept: str = "text/html,*/*",
    agent: str = BROWSER,
    site: Site = SITE,
    entry: bytes = b"",
) -> Answer:
    section = f"Host: wiki.c.example\r\nAccept: {accept}\r\nUser-Agent: {agent}\r\n".encode()
    head = parse_request(f"{method} {target} HTTP/1.1".encode(), parse_section(section), b"https")
    return refusal(decision, head, normalise(head.target), site, entry=entry)


def field(answer: Answer, name: bytes) -> bytes | None:
    return dict(answer.block.fields).get(name)


def test_a_browser_without_identity_is_sent_to_log_in() -> None:
    answer = ask(decide(Outcome.UNAUTHENTICATED))
    assert answer.status == 303
    assert field(answer, b"location") == (
        b"https://c.example/login?redirect=https%3A%2F%2Fwiki.c.example%2Fa%3Fb%3D1%26c%3Dd%2520e"
    )
    assert field(answer, b"x-octelium-unauthorized") == b"true"
    assert field(answer, b"server") == b"octelium"


def test_a_service_that_is_not_public_has_no_way_back() -> None:
    answer = ask(decide(Outcome.UNAUTHENTICATED), site=SITE._replace(public=None))
    assert field(answer, b"location") == b"https://c.example/login"


@pytest.mark.parametrize(
    "request_", [
        {"method": "POST"},
        {"method": "HEAD"},
        {"accept": "*/*"},
        {"accept": "application/json"},
        {"agent": "curl/8.0"},
        {"agent": "Go-http-client/1.1"},
        {"agent": "M"},
        {"agent": BROWSER + "x" * 300},
        {"agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"},
    ],
)  # fmt: skip
def test_others_without_identity_get_the_bare_status(request_: dict[str, Any]) -> None:
    answer = ask(decide(Outcome.UNAUTHENTICATED), **request_)
    assert (answer.status, answer.body) == (401, b"")
    assert field(answer, b"location") is None
    assert field(answer, b"x-octelium-unauthorized") == b"true"


def test_people_who_may_not_enter_get_a_page() -> None:
    answer = ask(decide(Outcome.DENIED, human=True), agent="anything")
    assert answer.status == 303
    assert field(answer, b"location") == b"https://c.example/denied"
    answer = ask(decide(Outcome.DENIED, human=True), entry=ENTRY)
    assert field(answer, b"location") == b"https://c.example/denied?id=" + ENTRY


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome != Outcome.ALLOWED])
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_every_refusal_names_its_log_entry(outcome: Outcome, accept: str) -> None:
    answer = ask(decide(outcome, human=True), accept=accept, entry=ENTRY)
    assert field(answer, b"x-octelium-request-id") == ENTRY
    assert field(grpc_refusal(decide(outcome), front=True, entry=ENTRY), REQUEST_ID) == ENTRY
    assert field(ask(decide(outcome), accept=accept), REQUEST_ID) is None
    assert field(grpc_refusal(decide(outcome), front=True), REQUEST_ID) is None


@pytest.mark.parametrize(
    ("human", "request_"), [(False, {}), (True, {"method": "POST"}), (False, {"method": "PUT"})]
)
def test_readers_who_cannot_be_sent_elsewhere_get_a_page(
    human: bool, request_: dict[str, Any]
) -> None:
    answer = ask(decide(Outcome.DENIED, human=human), entry=ENTRY, **request_)
    assert answer.status == 403
    assert field(answer, b"x-octelium-unauthorized") == b"true"
    assert field(answer, b"content-type") == b"text/html; charset=utf-8"
    assert field(answer, b"content-length") == b"%d" % len(answer.body)
    assert b'<a href="https://c.example/denied?id=' + ENTRY + b'">Why?</a>' in answer.body
    assert b"<script" not in answer.body
    policy = field(answer, b"content-security-policy") or b""
    assert policy.startswith(b"default-src 'none'; ")
    style = answer.body.partition(b"<style>")[2].partition(b"</style>")[0]
    assert b"'sha256-" + b64encode(sha256(style).digest()) + b"'" in policy


@pytest.mark.parametrize(
    ("human", "request_"),
    [
        (None, {}),
        (True, {"method": "HEAD"}),
        (True, {"accept": "*/*"}),
        (False, {"accept": "application/json"}),
    ],
)
def test_others_get_no_page(human: bool | None, request_: dict[str, Any]) -> None:
    answer = ask(decide(Outcome.DENIED, human=human), entry=ENTRY, **request_)
    assert (answer.status, answer.body) == (403, b"")


@pytest.mark.parametrize(
    ("human", "request_"),
    [(False, {}), (None, {}), (True, {"accept": "*/*"}), (True, {"method": "POST"})],
)
def test_others_who_may_not_enter_get_the_bare_status(
    human: bool | None, request_: dict[str, Any]
) -> None:
    answer = ask(decide(Outcome.DENIED, human=human), **request_)
    assert (answer.status, answer.body) == (403, b"")
    assert field(answer, b"x-octelium-unauthorized") == b"true"


@pytest.mark.parametrize(("outcome", "status"), [(Outcome.BAD_REQUEST, 400), (Outcome.ERROR, 500)])
def test_decisions_that_fail(outcome: Outcome, status: int) -> None:
    answer = ask(decide(outcome))
    assert answer.status == status
    assert field(answer, b"x-octelium-unauthorized") is None


@pytest.mark.parametrize("target", ["//evil.example/", "/x?%0d%0aSet-Cookie:x", "/@evil.example"])
def test_the_way_back_stays_within_the_service(target: str) -> None:
    answer = ask(decide(Outcome.UNAUTHENTICATED), target=target)
    location = field(answer, b"location")
    assert location is not None
    assert location.startswith(b"https://c.example/login?redirect=https%3A%2F%2Fwiki.c.example%2F")
    assert unquote(location.decode()).count("\r") == 0


@pytest.mark.parametrize(
    ("outcome", "status", "message"),
    [
        (Outcome.UNAUTHENTICATED, b"16", b"Octelium: Unauthenticated"),
        (Outcome.DENIED, b"7", b"Octelium: Unauthorized"),
    ],
)
def test_the_grpc_form(outcome: Outcome, status: bytes, message: bytes) -> None:
    answer = grpc_refusal(decide(outcome), front=True)
    assert answer.status == 200
    assert field(answer, b"content-type") == b"application/grpc"
    assert field(answer, b"grpc-status") == status
    assert field(answer, b"grpc-message") == message
    assert field(answer, b"x-octelium-unauthorized") == b"true"


@pytest.mark.parametrize(
    ("reason", "state", "told"),
    [
        (
            ReasonType.SESSION_NOT_ACTIVE,
            STATES.PENDING,
            (
                b": the Session alice-1 waits for approval; an administrator approves it by "
                b"octeliumctl update session alice-1 --approve"
            ),
        ),
        (
            ReasonType.SESSION_NOT_ACTIVE,
            STATES.REJECTED,
            b": an administrator has rejected the Session alice-1",
        ),
        (ReasonType.USER_DEACTIVATED, STATES.ACTIVE, b": your User is disabled"),
        (ReasonType.SESSION_LOCKED, STATES.ACTIVE, b": the Session alice-1 is locked"),
        (ReasonType.NO_POLICY_MATCH, STATES.ACTIVE, b""),
        (ReasonType.SCOPE_UNAUTHORIZED, STATES.ACTIVE, b""),
    ],
)
def test_grpc_callers_are_told_what_is_wrong_with_themselves(
    reason: ReasonType, state: Any, told: bytes
) -> None:
    entry = own_session(state)
    decision = replace(decide(Outcome.DENIED), reason=Reason(reason), session=entry)
    answer = grpc_refusal(decision, front=True)
    assert field(answer, b"grpc-message") == b"Octelium: Unauthorized" + told


def test_nobody_is_told_of_a_session_that_is_not_proved() -> None:
    entry = own_session(STATES.PENDING)
    reason = Reason(ReasonType.SESSION_NOT_ACTIVE)
    decision = replace(decide(Outcome.UNAUTHENTICATED), reason=reason, session=entry)
    assert (
        field(grpc_refusal(decision, front=True), b"grpc-message") == b"Octelium: Unauthenticated"
    )


def test_failures_of_the_decision_are_http_s_for_grpc_too() -> None:
    assert grpc_refusal(decide(Outcome.ERROR), front=True).status == 500
    assert grpc_refusal(decide(Outcome.BAD_REQUEST), front=True).status == 400


def test_plain_answers() -> None:
    front, tunnel = plain(503, front=True), plain(503, front=False)
    assert field(front, b"strict-transport-security") == b"max-age=2592000"
    assert field(tunnel, b"strict-transport-security") is None
    assert field(tunnel, b"server") == b"octelium"


def fail(status: int, accept: str, *, method: str = "GET", entry: bytes = b"") -> Answer:
    section = parse_section(f"Host: wiki.c.example\r\nAccept: {accept}\r\n".encode())
    head = parse_request(f"{method} / HTTP/1.1".encode(), section, b"https")
    return upstream_failure(status, "wiki.default", head, front=True, entry=entry)


@pytest.mark.parametrize("status", [502, 504])
def test_a_browser_reads_that_the_upstream_does_not_answer(status: int) -> None:
    answer = fail(status, "text/html,*/*", method="POST", entry=ENTRY)
    assert answer.status == status
    assert field(answer, b"content-type") == b"text/html; charset=utf-8"
    policy = field(answer, b"content-security-policy")
    assert policy is not None
    assert b"default-src 'none'" in policy
    assert b"wiki does not answer. If it is yours: is its server running?" in answer.body
    assert b"<code>abcd-efgh-24-0000-000z</code>" in answer.body
    assert field(answer, b"content-length") == str(len(answer.body)).encode()
    assert b"<code>" not in fail(status, "text/html").body


def test_other_clients_get_a_line_of_text() -> None:
    answer = fail(502, "*/*")
    assert field(answer, b"content-type") == b"text/plain; charset=utf-8"
    assert answer.body.startswith(b"Bad Gateway: wiki does not answer.")
    assert field(answer, b"content-length") == str(len(answer.body)).encode()
    assert b"busy" in fail(503, "*/*").body
    assert b"as large as this" in fail(413, "*/*").body
    assert fail(502, "text/html", method="HEAD").body == answer.body


def wait_for(
    absence: Absence, accept: str = "*/*", *, known: bool = True, method: str = "GET"
) -> Answer:
    section = parse_section(f"Host: wiki.c.example\r\nAccept: {accept}\r\n".encode())
    head = parse_request(f"{method} / HTTP/1.1".encode(), section, b"https")
    reason = "ImagePullBackOff" if absence is Absence.FAILING else ""
    problem = NotReady(absence, reason)
    return not_ready(problem, "wiki.default", head, front=True, known=known, entry=ENTRY)


@pytest.mark.parametrize("absence", list(Absence))
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_a_container_that_is_not_there(absence: Absence, known: bool, accept: str) -> None:
    answer = wait_for(absence, accept, known=known)
    assert answer.status == 503
    assert field(answer, b"retry-after") == b"5"
    assert field(answer, b"cache-control") == (b"no-store" if accept == "text/html" else None)
    assert field(answer, b"content-length") == str(len(answer.body)).encode()
    said = {
        Absence.UNMANAGED: b"no controller that would start it",
        Absence.STARTING: b"wiki is starting",
        Absence.ABANDONED: b"no controller is connected",
        Absence.FAILING: b"container of wiki is not ready",
    }
    assert said[absence] in answer.body
    # Who is not signed in learns neither why nor what to type.
    assert (b"ImagePullBackOff" in answer.body) == (known and absence is Absence.FAILING)
    assert (b"octeliumctl" in answer.body) == (known and absence is not Absence.STARTING)


def test_a_page_that_will_change_looks_again_by_itself() -> None:
    again = b'<meta http-equiv="refresh" content="5">'
    starting = wait_for(Absence.STARTING, "text/html")
    assert again in starting.body
    assert b"<h1>wiki is starting</h1>" in starting.body
    assert b"looks again every 5 seconds" in starting.body
    # A form would be sent again as something else.
    posted = wait_for(Absence.STARTING, "text/html", method="POST")
    assert again not in posted.body
    assert b"Try again in a moment." in posted.body
    for absence in (Absence.FAILING, Absence.UNMANAGED, Absence.ABANDONED):
        assert again not in wait_for(absence, "text/html").body
    assert again not in wait_for(Absence.STARTING).body
