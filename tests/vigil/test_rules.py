from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from octelium.http.h1.requests import parse_request
from octelium.http.message import FieldBlock, MessageError, ResponseHead
from octelium.http.section import parse_section
from octelium.identity.tokens import Signer, TokenType
from octelium.policy.cel.errors import EvaluationError
from octelium.policy.decision import Decision, Outcome, Reason, ReasonType
from octelium.replica.entries import ServiceEntry, SessionEntry
from octelium.vigil.computed import Computed
from octelium.vigil.errors import Unserviceable
from octelium.vigil.rules import (
    Addition,
    Exchange,
    RequestRules,
    ResponseRules,
    checked_name,
    checked_value,
)
from tests.vigil.world import service, session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octelium.http.message import Fields

SECTION = (
    "Host: wiki.example:8443\r\nUser-Agent: curl\r\nAccept: */*\r\n"
    "Cookie: a=1; octelium_auth=t; b=2\r\nAuthorization: Bearer t\r\n"
    "X-Octelium-Auth: t\r\nX-Octelium-Refresh-Token: r\r\nX_Octelium_Session_Uid: forged\r\n"
    "X-Octelium-Session-Uid: forged\r\nX-Octelium-Client-Address: 10.0.0.1\r\n"
    "X-Forwarded-For: 10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\n"
    "X-Request-Id: 5\r\nX-Team: ops\r\nx_team: evil\r\n"
    "Connection: keep-alive, te\r\nTE: trailers\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\n"
    "Transfer_Encoding: chunked\r\nOrigin: https://o\r\n"
)


def exchange(section: str = SECTION, *, known: bool = True) -> Exchange:
    made = service()
    entry = ServiceEntry("u", "wiki.default", made.SerializeToString())
    who = session()
    whose = SessionEntry(who.metadata.uid, who.metadata.name, who.SerializeToString())
    decision = Decision(
        Outcome.ALLOWED,
        Reason(ReasonType.POLICY_MATCH),
        entry,
        session=whose if known else None,
    )
    head = parse_request(b"GET /p HTTP/1.1", parse_section(section.encode()), b"https")
    context = {"user": {"name": "alice"}}
    return Exchange(head, decision, "192.0.2.1", b"/p", "wiki.example", lambda: context)


def render(rules: RequestRules, what: Exchange) -> FieldBlock:
    return rules.render(what.head.block, lambda: what)


def sent(rules: RequestRules, what: Exchange | None = None) -> dict[bytes, bytes]:
    fields = render(rules, what or exchange()).fields
    assert len({name for name, _ in fields}) == len(fields)
    return dict(fields)


def test_what_an_upstream_sees_by_default() -> None:
    assert sent(RequestRules()) == {
        b"user-agent": b"curl",
        b"accept": b"*/*",
        b"cookie": b"a=1; b=2",
        b"x-team": b"ops",
        b"x_team": b"evil",
        b"origin": b"https://o",
    }


def test_the_result_is_kept_with_the_section() -> None:
    rules, what = RequestRules(), exchange()
    assert render(rules, what) is render(rules, what)
    assert render(RequestRules(), what) is not render(rules, what)


def test_spellings_are_kept() -> None:
    lines = render(RequestRules(), exchange()).h1
    assert b"User-Agent: curl\r\n" in lines
    assert b"X-Team: ops\r\n" in lines


def test_a_cookie_field_with_nothing_left_goes() -> None:
    what = exchange("Host: a\r\nCookie: octelium_auth=t; octelium_rt=r\r\n")
    assert sent(RequestRules(), what) == {b"user-agent": b"octelium"}


def test_passing_the_client_s_authorization() -> None:
    assert sent(RequestRules(pass_authorization=True))[b"authorization"] == b"Bearer t"


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
def test_an_octelium_token_goes_to_the_cluster_alone(name: str) -> None:
    token = Signer(str(uuid.uuid4()), Ed25519PrivateKey.generate()).issue(
        TokenType.ACCESS, str(uuid.uuid4()), str(uuid.uuid4()), 1_900_000_000
    )
    what = exchange(f"Host: a\r\n{name}: Bearer {token}\r\n")
    assert b"authorization" not in sent(RequestRules(pass_authorization=True), what)
    assert b"authorization" not in sent(RequestRules(), what)
    managed = sent(RequestRules(managed=True, pass_authorization=True), what)
    assert managed[b"authorization"] == f"Bearer {token}".encode()


def test_injected_credentials_replace_everything() -> None:
    rules = RequestRules(
        credentials=((b"authorization", b"Bearer upstream"),),
        additions=(Addition(b"authorization", b"Basic x"),),
        pass_authorization=True,
    )
    assert sent(rules)[b"authorization"] == b"Bearer upstream"
    custom = RequestRules(credentials=((b"x-team", b"k"),))
    fields = sent(custom)
    assert fields[b"x-team"] == b"k"
    assert b"x_team" not in fields


def test_additions_and_removals() -> None:
    rules = RequestRules(
        additions=(
            Addition(b"x-team", b"set"),
            Addition(b"accept", b"text/html", append=True),
            Addition(b"x-new", b"1"),
            Addition(b"x-gone", b"1"),
        ),
        removals=frozenset({b"origin", b"x-gone"}),
    )
    fields = render(rules, exchange()).fields
    assert [v for n, v in fields if n == b"x-team"] == [b"set"]
    assert [v for n, v in fields if n == b"accept"] == [b"*/*", b"text/html"]
    names = {name for name, _ in fields}
    assert b"x-new" in names
    assert not names & {b"x_team", b"origin", b"x-gone"}


def named(evaluate: Callable[[Mapping[str, Any]], object]) -> RequestRules:
    """Rules that add the field `x-user` with a computed value."""
    return RequestRules(additions=(Addition(b"x-user", expression=Computed("x-user", evaluate)),))


def test_expressions() -> None:
    rules, what = named(lambda ctx: ctx["user"]["name"]), exchange()
    assert sent(rules, what)[b"x-user"] == b"alice"
    assert render(rules, what) is not render(rules, what)


@pytest.mark.parametrize(
    "result", [None, 5, True, ["a"], "a\r\nX: y", " a", "\x00", EvaluationError()]
)
@pytest.mark.parametrize("forged", ["", "X-User: forged\r\n", "X_User: forged\r\n"])
def test_expressions_that_give_no_field_value(result: Any, forged: str) -> None:
    def evaluate(_context: object) -> object:
        if isinstance(result, Exception):
            raise result
        return result

    fields = sent(named(evaluate), exchange(SECTION + forged))
    assert not {b"x-user", b"x_user"} & set(fields)
    assert fields[b"x-team"] == b"ops"
    rules = ResponseRules(additions=(Addition(b"x-keep", expression=Computed("x", evaluate)),))
    assert b"x-keep" not in dict(received(rules))


def test_an_expression_with_a_bug_is_not_taken_for_one_that_fails() -> None:
    with pytest.raises(KeyError):
        render(named(lambda ctx: ctx["none"]), exchange())


def test_forwarding_fields() -> None:
    passed = sent(RequestRules(pass_forwarding=True))
    assert passed[b"x-forwarded-for"] == b"10.0.0.1"
    assert passed[b"forwarded"] == b"for=10.0.0.1"
    hidden = sent(RequestRules(obfuscate=True))
    assert hidden[b"x-forwarded-host"] == b"wiki.example"
    assert hidden[b"x-forwarded-proto"] == b"https"
    assert hidden[b"x-real-ip"] == b"10.0.0.1"
    assert b"192.0.2.1" not in b"".join(hidden.values())
    again = sent(RequestRules(obfuscate=True))
    assert again[b"forwarded"] != hidden[b"forwarded"]


def test_te_is_for_grpc_only() -> None:
    assert sent(RequestRules(grpc=True))[b"te"] == b"trailers"
    assert b"te" not in sent(RequestRules())


def test_what_the_cluster_s_own_services_see() -> None:
    fields = sent(RequestRules(managed=True, pass_authorization=True))
    assert fields[b"x-octelium-auth"] == b"t"
    assert fields[b"x-octelium-refresh-token"] == b"r"
    assert fields[b"x-octelium-client-address"] == b"192.0.2.1"
    assert fields[b"x-octelium-session-uid"] == b"uid-session"
    assert json.loads(fields[b"x-octelium-session-ref"]) == {
        "apiVersion": "core/v1",
        "kind": "Session",
        "uid": "uid-session",
        "name": "alice-1",
        "resourceVersion": "7",
    }
    assert fields[b"x-octelium-req-path"] == b"/p"
    assert fields[b"x-octelium-origin"] == b"https://o"
    assert fields[b"cookie"] == b"a=1; octelium_auth=t; b=2"
    assert fields[b"authorization"] == b"Bearer t"
    assert fields[b"x-forwarded-host"] == b"wiki.example:8443"
    assert fields[b"x-forwarded-for"] == b"192.0.2.1"
    assert b"forged" not in b"".join(fields.values())


def test_an_anonymous_request_to_them_has_no_session() -> None:
    fields = sent(RequestRules(managed=True), exchange(known=False))
    assert not {name for name in fields if name.startswith(b"x-octelium-session")}


RESPONSE = (
    b"Server: nginx\r\nContent-Length: 5\r\nContent-Type: text/html\r\nConnection: close, X-Hop\r\n"
    b"X-Hop: 1\r\nKeep-Alive: 5\r\nTransfer-Encoding: chunked\r\nStrict-Transport-Security: no\r\n"
    b"Alt-Svc: h3\r\nX-Octelium-Unauthorized: true\r\nSet-Cookie: sid=1\r\n"
    b"Set-Cookie: octelium_auth=planted; Domain=example\r\nX-Keep: 1\r\n"
)


def received(
    rules: ResponseRules, status: int = 200, extra: list[tuple[bytes, bytes]] | None = None
) -> list[tuple[bytes, bytes]]:
    head = ResponseHead(status, parse_section(RESPONSE), 11)
    return list(rules.render(head, exchange, extra or []).fields)


def test_what_a_client_sees() -> None:
    assert received(ResponseRules()) == [
        (b"content-length", b"5"),
        (b"content-type", b"text/html"),
        (b"set-cookie", b"sid=1"),
        (b"x-keep", b"1"),
        (b"server", b"octelium"),
        (b"strict-transport-security", b"max-age=2592000"),
    ]


def test_responses_are_kept_with_their_section() -> None:
    rules, head = ResponseRules(), ResponseHead(200, parse_section(RESPONSE), 11)
    assert rules.render(head, exchange) is rules.render(head, exchange)


def test_a_tunnel_has_no_hsts_of_ours() -> None:
    fields = dict(received(ResponseRules(front=False)))
    assert fields[b"strict-transport-security"] == b"no"


def test_the_cluster_s_own_services_may_say_everything() -> None:
    fields = received(ResponseRules(managed=True))
    assert (b"x-octelium-unauthorized", b"true") in fields
    assert sum(name == b"set-cookie" for name, _ in fields) == 2


def test_additions_and_removals_of_responses() -> None:
    rules = ResponseRules(
        additions=(
            Addition(b"x-keep", b"2"),
            Addition(b"set-cookie", b"c=3", append=True),
            Addition(b"server", b"mine"),
            Addition(b"strict-transport-security", b"mine"),
        ),
        removals=frozenset({b"content-type"}),
    )
    fields = received(rules)
    assert [v for n, v in fields if n == b"x-keep"] == [b"2"]
    assert [v for n, v in fields if n == b"set-cookie"] == [b"sid=1", b"c=3"]
    assert [v for n, v in fields if n == b"server"] == [b"octelium"]
    assert [v for n, v in fields if n == b"strict-transport-security"] == [b"max-age=2592000"]
    assert b"content-type" not in {n for n, _ in fields}


@pytest.mark.parametrize(
    "nominated", ["content-length", "Content-Length, close", "x, CONTENT-LENGTH"]
)
def test_no_connection_takes_the_length_along(nominated: str) -> None:
    section = f"Connection: {nominated}\r\nContent-Length: 2\r\nX: 1\r\n".encode()
    block = ResponseRules().render(ResponseHead(200, parse_section(section), 11), exchange)
    assert b"Content-Length: 2\r\n" in block.h1
    assert block.content_length == 2
    fixed = ResponseRules(removals=frozenset({b"content-length"}))
    block = fixed.render(ResponseHead(200, parse_section(section), 11), exchange)
    assert (b"content-length" in dict(block.fields)) is (block.content_length is not None)
    with pytest.raises(MessageError):
        exchange(f"Host: a\r\nConnection: {nominated}\r\nContent-Length: 2\r\n")


@pytest.mark.parametrize("status", [100, 101, 102, 103, 199, 204])
def test_no_length_in_what_has_no_body(status: int) -> None:
    head = ResponseHead(status, parse_section(RESPONSE), 11)
    block = ResponseRules().render(head, exchange)
    assert b"content-length" not in dict(block.fields)
    assert block.content_length is None


FORGED: Fields = (
    (b"x-checksum", b"1"),
    (b"x-octelium-session-uid", b"forged"),
    (b"x_octelium_auth", b"forged"),
    (b"x-forwarded-for", b"forged"),
    (b"authorization", b"forged"),
    (b"cookie", b"octelium_auth=forged"),
    (b"content-length", b"7"),
    (b"remote-user", b"forged"),
    (b"x-key", b"forged"),
    (b"x_new", b"forged"),
)


def test_trailers_of_requests() -> None:
    plain = exchange("Host: a\r\n").head.block
    announced = exchange("Host: a\r\nConnection: te\r\nTE: gzip, Trailers\r\n").head.block
    rules = RequestRules(
        credentials=((b"x-key", b"k"),), additions=(Addition(b"x-new", b"1", append=True),)
    )
    assert rules.trailers(FORGED, plain) == ()
    assert rules.trailers(FORGED, announced) == ((b"x-checksum", b"1"),)
    assert rules.trailers((), announced) == ()
    calls = RequestRules(grpc=True, managed=True, pass_authorization=True, pass_forwarding=True)
    assert calls.trailers(FORGED[:8], plain) == ((b"x-checksum", b"1"),)


def test_trailers_of_responses() -> None:
    rules = ResponseRules(removals=frozenset({b"x-gone"}))
    fields: Fields = (
        (b"grpc-status", b"0"),
        (b"x-octelium-unauthorized", b"true"),
        (b"set-cookie", b"octelium_auth=x"),
        (b"strict-transport-security", b"max-age=0"),
        (b"x-gone", b"1"),
        (b"x-kept", b"1"),
    )
    assert rules.trailers(fields) == ((b"grpc-status", b"0"), (b"x-kept", b"1"))
    assert rules.trailers(()) == ()


def test_no_length_where_it_is_forbidden() -> None:
    assert b"content-length" not in dict(received(ResponseRules(), 204))
    assert b"content-length" in dict(received(ResponseRules(), 304))


def test_extra_fields_replace() -> None:
    fields = received(ResponseRules(), extra=[(b"x-keep", b"3")])
    assert [v for n, v in fields if n == b"x-keep"] == [b"3"]


@pytest.mark.parametrize("name", ["", "a b", "Connection", "Content-Length", "te", "Host", "é"])
def test_names_that_cannot_be_set(name: str) -> None:
    with pytest.raises(Unserviceable):
        checked_name(name)


def test_values_that_cannot_be_sent() -> None:
    assert checked_value("a b", "x") == b"a b"
    for bad in ("a\nb", " a", b"\x00"):
        with pytest.raises(Unserviceable) as caught:
            checked_value(bad, "Secret s")
        assert caught.value.status == 502
        assert "Secret s" in str(caught.value)
