"""Of many who use one thing for one use at the same moment, one gets something.

A state, an authorization code, a device code, a refresh token, an authentication token, a password
of an app, a challenge of a security key, the answer to a command line.
"""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from octelium.identity.authenticators import totp
from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.e2e.cluster import DOMAIN, Api
from tests.e2e.documents import credential
from tests.identity.authenticators.soft_key import SoftKey
from tests.security.lab import person
from tests.security.test_half_finished import DEVICE_GRANT, app_of, register_app
from tests.security.test_open_redirects import request_of
from tests.security.visitor import ACCESS, REFRESH, STATE, Visitor, set_cookies

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.security.lab import Lab

T = TypeVar("T")
MANY = 8


def at_once(do: Callable[[], T]) -> list[T]:
    """What comes of it when many do it at the same moment."""
    barrier = threading.Barrier(MANY)

    def one(_number: int) -> T:
        barrier.wait(60)
        return do()

    with ThreadPoolExecutor(MANY) as threads:
        return list(threads.map(one, range(MANY)))


def sessions(lab: Lab) -> int:
    return sum(name.startswith("Session") for name in lab.state)


def winners(responses: list[httpx.Response]) -> list[httpx.Response]:
    """Those that got tokens."""
    assert all(response.status_code < 500 for response in responses)
    given = [{n for n, v, _ in set_cookies(r) if v and n in (ACCESS, REFRESH)} for r in responses]
    return [response for response, names in zip(responses, given, strict=True) if names]


def only_one(lab: Lab, visitor: Visitor, why: str, winning: int) -> None:
    """One attempt succeeded; each of the others is in the log."""
    assert winning == 1
    entries = lab.entries(visitor.address)[:MANY]
    outcomes = [entry.outcome for entry in entries]
    assert sorted(outcomes) == ["refused"] * (MANY - 1) + ["succeeded"]
    assert all(why in entry.reason for entry in entries if entry.outcome == "refused")


def test_a_state(lab: Lab) -> None:
    visitor, before = lab.visitor(), sessions(lab)
    lab.liar.claims = {"email": "ann@example.com"}
    answer = lab.liar.authorize(visitor.begin(lab.uid("liar")))
    won = winners(at_once(lambda: visitor.come_back(answer, keep=False)))
    only_one(lab, visitor, "has ended before", len(won))
    assert sessions(lab) == before + 1


def test_a_code(lab: Lab) -> None:
    """One code at many states: the provider gives one answer, and that to its own login alone."""
    owner, before = lab.visitor(), sessions(lab)
    landing = lab.walk(owner.begin(lab.uid("corp")), login="ann", password="any")
    others = [lab.visitor() for _ in range(MANY)]
    for other in others:
        other.begin(lab.uid("corp"))
    left = iter(others)
    lock = threading.Lock()

    def use() -> httpx.Response:
        with lock:
            visitor = next(left)
        return visitor.come_back({**landing.parameters, "state": visitor.cookies[STATE]})

    assert winners(at_once(use)) == []
    assert sessions(lab) == before
    for other in others:
        (entry,) = lab.entries(other.address)
        assert "invalid_grant" in entry.reason


def test_a_device_code(lab: Lab) -> None:
    machine, ann = lab.visitor(), lab.as_ann()
    begun = machine.post("/oauth2/device_authorization", {"client_id": "cli"}).json()
    form = {"user_code": begun["user_code"], "decision": "approve"}
    assert "let in" in ann.post("/device", form).text
    before = sessions(lab)
    poll = {"grant_type": DEVICE_GRANT, "device_code": begun["device_code"], "client_id": "cli"}
    answers = at_once(lambda: machine.post("/oauth2/token", poll).json())
    won = [answer for answer in answers if "access_token" in answer]
    only_one(lab, machine, "no machine waits", len(won))
    assert sessions(lab) == before + 1


def test_the_code_of_a_machine(lab: Lab) -> None:
    """Several people let the same machine in: the first one did."""
    machine, ann = lab.visitor(), lab.as_ann()
    begun = machine.post("/oauth2/device_authorization", {"client_id": "cli"}).json()
    form = {"user_code": begun["user_code"], "decision": "approve"}
    pages = at_once(lambda: ann.post("/device", form))
    assert sorted(page.status_code for page in pages) == [200] + [404] * (MANY - 1)


def call(lab: Lab, visitor: Visitor, method: str, request: Any, **metadata: str) -> Any:
    """The answer of a call, or the status of its refusal."""
    try:
        return Api(lab.channel).call(
            auth, method, request, x_forwarded_for=visitor.address, **metadata
        )
    except grpc.RpcError as error:
        return error.code()


def tokens_of(answers: list[Any]) -> list[auth.SessionToken]:
    return [answer for answer in answers if isinstance(answer, auth.SessionToken)]


def authentication_token(lab: Lab, name: str, **spec: Any) -> str:
    lab.create(credential(name, "ann", "AUTH_TOKEN", **spec))
    made = lab.api.core(
        "GenerateCredentialToken",
        core.GenerateCredentialTokenRequest(credential_ref=meta.ObjectReference(name=name)),
    )
    return str(made.authentication_token.authentication_token)


def test_an_authentication_token(lab: Lab) -> None:
    visitor = lab.visitor()
    token = authentication_token(lab, "once", maxAuthentications=1)
    request = auth.AuthenticateWithAuthenticationTokenRequest(authentication_token=token)
    answers = at_once(lambda: call(lab, visitor, "AuthenticateWithAuthenticationToken", request))
    only_one(lab, visitor, "", len(tokens_of(answers)))


def test_a_refresh_token(lab: Lab) -> None:
    visitor = lab.visitor()
    token = authentication_token(lab, "often")
    first = auth.AuthenticateWithAuthenticationTokenRequest(authentication_token=token)
    issued = call(lab, visitor, "AuthenticateWithAuthenticationToken", first)
    request = auth.AuthenticateWithRefreshTokenRequest()
    old = {"x_octelium_refresh_token": issued.refresh_token}
    answers = at_once(lambda: call(lab, visitor, "AuthenticateWithRefreshToken", request, **old))
    only_one(lab, visitor, "has newer tokens", len(tokens_of(answers)))


def test_a_password_of_an_app(lab: Lab) -> None:
    visitor = lab.visitor()
    lab.create(person("mfa-race", "race@example.com"))
    lab.sign_in(visitor, email="race@example.com")
    secret = register_app(lab, visitor)
    lab.sign_in(visitor, email="race@example.com")
    code = totp.code(secret, totp.step_at(time.time()) + 1)
    form = {"uid": app_of(visitor), "type": "totp", "response": code}
    path = "/authenticators/authenticate/finish"
    answers = at_once(lambda: visitor.post(path, form, keep=False))
    assert len(winners(answers)) == 1
    outcomes = [entry.outcome for entry in lab.entries(visitor.address)]
    # Some come so late that the token that they ask with has been replaced: nobody asks then.
    assert outcomes.count("succeeded") == 2 + 1


def options_of(page: httpx.Response) -> str:
    """What a page asks a security key for."""
    found = re.search(r'data-options="([^"]+)"', page.text)
    assert found, page.text
    return unescape(found[1])


def test_a_challenge_of_a_security_key(lab: Lab) -> None:
    """Also the passkey's, for which nobody has to be signed in."""
    visitor = lab.visitor()
    lab.create(person("mfa-key", "key@example.com"))
    lab.sign_in(visitor, email="key@example.com")
    key = SoftKey(lab.cluster.url("", ""), DOMAIN)
    page = visitor.post("/authenticators/register", {"type": "fido"})
    (uid,) = set(re.findall(r'name="uid" value="([0-9a-f-]{36})"', page.text))
    form = {"uid": uid, "type": "fido", "response": key.create(options_of(page))}
    assert visitor.post("/authenticators/register/finish", form).status_code == 200

    lab.sign_in(visitor, email="key@example.com")
    page = visitor.post("/authenticators/authenticate", {"uid": uid, "type": "fido"})
    form = {"uid": uid, "type": "fido", "response": key.get(options_of(page))}
    path = "/authenticators/authenticate/finish"
    answers = at_once(lambda: visitor.post(path, form, keep=False))
    assert len(winners(answers)) == 1

    stranger, before = lab.visitor(), sessions(lab)
    page = stranger.post("/authenticators/passkey", {"query": ""})
    form = {"query": "", "response": key.get(options_of(page))}
    path = "/authenticators/passkey/finish"
    won = winners(at_once(lambda: stranger.post(path, form, keep=False)))
    only_one(lab, stranger, "not accepted: the challenge was answered already", len(won))
    assert sessions(lab) == before + 1


def test_the_answer_to_a_command_line(lab: Lab) -> None:
    ann = lab.as_ann()
    ann.get(f"/login?octelium_req={request_of()}")
    ann.get("/callback/success")
    page = ann.get("/callback/success/approval").text
    (asked,) = set(re.findall(r'name="request" value="([^"]+)"', page))
    form = {"request": asked, "decision": "approve"}
    known = [entry.id for entry in lab.entries(ann.address)]
    answers = at_once(lambda: ann.post("/callback/success/approval", form))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * (MANY - 1)
    entries = [entry for entry in lab.entries(ann.address) if entry.id not in known]
    assert len(entries) == MANY - 1
    assert all("no command line waits" in entry.reason for entry in entries)
