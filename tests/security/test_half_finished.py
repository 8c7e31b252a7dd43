"""Sign-ins that are not finished open nothing, by whichever way it is tried.

A first factor without the second, a Session that waits for an administrator, a machine that nobody
has let in yet.
"""

from __future__ import annotations

import base64
import re
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from octelium.identity.authenticators import totp
from octelium.schema.jsonform import from_json
from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user
from tests.e2e.cluster import DOMAIN, Api
from tests.identity.authenticators.people import wrong_code
from tests.security.lab import AUDIENCE, person
from tests.security.test_jwt_attacks import ASSERTION
from tests.security.test_open_redirects import request_of
from tests.security.visitor import ACCESS, REFRESH, Visitor, gives_nothing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.security.lab import Lab

LINUX = auth.RegisterDeviceRequestInfoOsType__.LINUX
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
WAITS = ("authorization_pending", "slow_down")
"""What a machine is told that nobody has let in, by how soon it asks (RFC 8628, section 3.5)."""
GET_STATUS = "/octelium.api.main.user.v1.MainService/GetStatus"


def register_app(lab: Lab, visitor: Visitor) -> bytes:
    """Register an authenticator app on the pages; its secret."""
    page = visitor.post("/authenticators/register", {"type": "totp"}).text
    (uid,) = set(re.findall(r'name="uid" value="([0-9a-f-]{36})"', page))
    (shown,) = re.findall(r"\b((?:[A-Z2-7]{4} ){7}[A-Z2-7]{4})\b", page)
    secret = base64.b32decode(shown.replace(" ", ""))
    form = {"uid": uid, "type": "totp", "response": totp.code(secret, totp.step_at(time.time()))}
    assert visitor.post("/authenticators/register/finish", form).status_code == 200
    return secret


def app_of(visitor: Visitor) -> str:
    """The uid of the app that the page asks for."""
    page = visitor.get("/authenticators/authenticate").text
    (uid,) = set(re.findall(r'name="uid" value="([0-9a-f-]{36})"', page))
    return str(uid)


@pytest.fixture(scope="session")
def secret(lab: Lab) -> bytes:
    """Of the app of `mfa-totp`."""
    visitor = lab.visitor()
    lab.sign_in(visitor, email="totp@example.com")
    return register_app(lab, visitor)


def with_the_first_factor(lab: Lab) -> Visitor:
    visitor = lab.visitor()
    landed = lab.sign_in(visitor, email="totp@example.com")
    assert landed.headers["location"].endswith("/authenticators/authenticate")
    return visitor


def without_an_authenticator(lab: Lab) -> Visitor:
    visitor = lab.visitor()
    landed = lab.sign_in(visitor, email="none@example.com")
    assert landed.headers["location"].endswith("/authenticators/register")
    return visitor


def waiting_for_approval(lab: Lab) -> Visitor:
    visitor = lab.visitor()
    lab.sign_in(visitor, email="pen@example.com")
    assert visitor.is_signed_in
    return visitor


def refusal(lab: Lab, package: Any, method: str, request: Any, **metadata: str) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        Api(lab.channel).call(package, method, request, **metadata)
    error: Any = caught.value
    return error.code()


def try_everything(lab: Lab, visitor: Visitor) -> None:
    """Every way to use what the visitor has."""
    cluster, access = lab.cluster, visitor.cookies[ACCESS]
    for service in ("demo-nginx", "portal"):
        page = cluster.url(service)
        assert visitor.get(page).status_code in (303, 401, 403)
        nobody = Visitor(cluster, visitor.client, visitor.address)
        for headers in ({"Authorization": f"Bearer {access}"}, {"X-Octelium-Auth": access}):
            assert nobody.get(page, **headers).status_code in (303, 401, 403)
    assert visitor.get(cluster.url("portal", "/account")).status_code in (303, 401, 403)

    denied = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)
    where = {"x_forwarded_for": visitor.address}
    token = {"x_octelium_auth": access, **where}
    refresh = {"x_octelium_refresh_token": visitor.cookies[REFRESH], **where}
    assert refusal(lab, user, "GetStatus", user.GetStatusRequest(), **token) in denied
    assert refusal(lab, core, "ListUser", core.ListUserOptions(), **token) in denied
    request = auth.AuthenticateWithRefreshTokenRequest()
    assert refusal(lab, auth, "AuthenticateWithRefreshToken", request, **refresh) in denied
    machine = auth.RegisterDeviceRequestInfo(os_type=LINUX, hostname="m", id="0" * 64)
    device = auth.RegisterDeviceBeginRequest(info=machine)
    assert refusal(lab, auth, "RegisterDeviceBegin", device, **refresh) in denied

    web = visitor.send(
        "POST",
        cluster.url("octelium-api", GET_STATUS),
        {"Content-Type": "application/grpc-web+proto", "Origin": cluster.url("portal", "")},
        content=bytes(5),
    )
    told = f"{web.headers} {web.content!r}"
    assert web.status_code in (401, 403) or re.search(r"grpc-status\W+(7|16)\b", told)

    for form in ({"grant_type": "refresh_token", "refresh_token": visitor.cookies[REFRESH]},):
        gives_nothing(visitor.post("/oauth2/token", form))

    begun = visitor.post("/oauth2/device_authorization", {"client_id": "cli"}).json()
    for response in (
        visitor.get(f"/device?user_code={begun['user_code']}"),
        visitor.post("/device", {"user_code": begun["user_code"], "decision": "approve"}),
    ):
        assert response.status_code == 303
        gives_nothing(response)
    poll = {
        "grant_type": DEVICE_GRANT,
        "device_code": begun["device_code"],
        "client_id": "cli",
    }
    assert visitor.post("/oauth2/token", poll).json()["error"] in WAITS

    for path in (
        f"/login?octelium_req={request_of()}",
        "/callback/success",
        "/login?redirect=" + cluster.url("demo-nginx"),
    ):
        page_after = visitor.get(path)
        where_to = page_after.headers.get("location", "")
        assert "demo-nginx" not in where_to
        assert "approval" not in where_to
    assert 'name="request"' not in visitor.get("/callback/success/approval").text


HALVES: dict[str, Callable[[Lab], Visitor]] = {
    "the first factor": with_the_first_factor,
    "no authenticator": without_an_authenticator,
    "pending": waiting_for_approval,
}


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.usefixtures("secret")
def test_halves_open_nothing(lab: Lab, name: str) -> None:
    visitor = HALVES[name](lab)
    # A browser's Session is never renewed by its refresh token; a command line has not asked.
    with lab.refused(visitor, "renewed by signing in again"):
        try_everything(lab, visitor)
    with lab.refused(visitor, "no command line waits"):
        form = {"request": "x", "decision": "approve"}
        assert visitor.post("/callback/success/approval", form).status_code == 409


def test_the_first_factor_changes_no_second_one(lab: Lab, secret: bytes) -> None:
    """Whoever has only that could add an Authenticator of his own, or remove the person's."""
    visitor = with_the_first_factor(lab)
    uid = app_of(visitor)
    with lab.refused(visitor):
        proof = visitor.get("/authenticators").headers["location"]
        assert proof.endswith("/authenticators/authenticate")
        page = visitor.post("/authenticators/register", {"type": "totp"})
        assert (page.status_code, page.headers["location"]) == (303, proof)
        assert visitor.get("/authenticators").status_code == 303
        page = visitor.post("/authenticators/delete", {"uid": uid, "sure": "yes"})
        assert (page.status_code, page.headers["location"]) == (303, proof)
    assert secret


def test_no_empty_or_wrong_answer_is_the_second_factor(lab: Lab, secret: bytes) -> None:
    visitor = with_the_first_factor(lab)
    uid = app_of(visitor)
    wrong = wrong_code(secret, time.time())
    last = "of this moment"
    for form, why in (
        ({}, "no form of the Cluster's"),
        ({"type": "totp"}, ""),
        ({"uid": uid, "type": "totp"}, last),
        ({"uid": uid, "type": "totp", "response": ""}, last),
        ({"uid": uid, "type": "totp", "response": "000000 000000"}, last),
        ({"uid": uid, "type": "totp", "response": wrong}, last),
        ({"uid": uid, "type": "fido", "response": "{}"}, ""),
        ({"uid": visitor.cookies[REFRESH][:36], "type": "totp", "response": wrong}, ""),
    ):
        before = lab.entries(visitor.address)
        response = visitor.post("/authenticators/authenticate/finish", form)
        assert response.status_code == 400
        gives_nothing(response)
        assert not visitor.opens()
        entry, *older = lab.entries(visitor.address)
        assert older == before
        assert (entry.outcome, entry.user.name) == ("refused", "mfa-totp")
        assert why in entry.reason


def test_the_second_factor_opens_and_ends_the_tokens_before_it(lab: Lab) -> None:
    visitor = lab.visitor()
    lab.create(person("mfa-once", "once@example.com"))
    lab.sign_in(visitor, email="once@example.com")
    assert not visitor.opens()
    half = Visitor(lab.cluster, lab.client, visitor.address, dict(visitor.cookies))
    app = register_app(lab, visitor)
    assert visitor.opens()
    assert not half.opens()
    lab.sign_in(visitor, email="once@example.com")
    assert not visitor.opens()
    half = Visitor(lab.cluster, lab.client, visitor.address, dict(visitor.cookies))
    code = totp.code(app, totp.step_at(time.time()) + 1)
    form = {"uid": app_of(visitor), "type": "totp", "response": code}
    assert visitor.post("/authenticators/authenticate/finish", form).status_code == 200
    assert visitor.opens()
    assert not half.opens()
    assert half.get("/authenticators").status_code == 303


def test_an_administrator_lets_a_session_in(lab: Lab) -> None:
    before = lab.state.keys()
    visitor = waiting_for_approval(lab)
    page = visitor.get("/login")
    assert "Please wait for approval" in page.text
    ((made, data),) = [(n, data) for n, data in lab.state.items() if n not in before]
    assert made.startswith("Session")
    session = core.Session.FromString(data)
    session.spec.state = core.SessionSpecState__.ACTIVE
    lab.api.core("UpdateSession", session)
    assert visitor.opens()
    session = lab.api.core("GetSession", meta.GetOptions(uid=session.metadata.uid))
    session.spec.state = core.SessionSpecState__.REJECTED
    lab.api.core("UpdateSession", session)
    assert not visitor.opens()
    assert "Please wait" not in visitor.get("/login").text


def test_a_workload_that_waits_for_approval(lab: Lab) -> None:
    """It gets tokens, which open nothing."""
    document = {
        "kind": "User",
        "metadata": {"name": "slow-bot"},
        "spec": {
            "type": "WORKLOAD",
            "authentication": {"identities": [{"identityProvider": "k8s", "identifier": "slow"}]},
            "session": {"defaultState": "PENDING"},
        },
    }
    lab.api.core("CreateUser", from_json(core.User, document))
    visitor = lab.visitor()
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": lab.k8s.token("slow", AUDIENCE),
    }
    token = visitor.post("/oauth2/token", form).json()["access_token"]
    page = lab.cluster.url("demo-nginx")
    assert visitor.get(page, Authorization=f"Bearer {token}").status_code in (401, 403)
    where = {"x_octelium_auth": token, "x_forwarded_for": visitor.address}
    code = refusal(lab, user, "GetStatus", user.GetStatusRequest(), **where)
    assert code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)


def test_a_machine_that_nobody_let_in(lab: Lab) -> None:
    machine, ann = lab.visitor(), lab.as_ann()
    begun = machine.post("/oauth2/device_authorization", {"client_id": "cli"}).json()
    poll = {"grant_type": DEVICE_GRANT, "device_code": begun["device_code"], "client_id": "cli"}
    with lab.refused(machine):
        assert machine.post("/oauth2/token", poll).json()["error"] in WAITS
    for changes, error, why in (
        ({"client_id": "other"}, "invalid_grant", "another client's"),
        ({"device_code": begun["user_code"]}, "expired_token", "no machine waits"),
        ({"device_code": ""}, "expired_token", "no machine waits"),
    ):
        with lab.refused(machine, why):
            response = machine.post("/oauth2/token", {**poll, **changes})
            gives_nothing(response)
            assert response.json()["error"] == error
    with lab.refused(ann, "no machine waits with this code"):
        assert ann.get("/device?user_code=BBBB-BBBB").status_code == 404
    form = {"user_code": begun["user_code"], "decision": "deny"}
    assert "Not let in" in ann.post("/device", form).text
    for error, why in (("access_denied", "did not let"), ("expired_token", "no machine waits")):
        with lab.refused(machine, why):
            assert machine.post("/oauth2/token", poll).json()["error"] == error
    with lab.refused(ann, "no machine waits with this code"):
        form = {"user_code": begun["user_code"], "decision": "approve"}
        assert ann.post("/device", form).status_code == 404


def test_a_page_that_another_session_was_asked(lab: Lab) -> None:
    """Who answers must be who was asked."""
    ann, other = lab.as_ann(), lab.as_ann()
    ann.get(f"/login?octelium_req={request_of()}")
    ann.get("/callback/success")
    page = ann.get("/callback/success/approval").text
    (asked,) = set(re.findall(r'name="request" value="([^"]+)"', page))
    with lab.refused(other, "no command line waits"):
        form = {"request": asked, "decision": "approve"}
        assert other.post("/callback/success/approval", form).status_code == 409
    with lab.refused(ann, "no command line waits"):
        form = {"request": f"{asked}x", "decision": "approve"}
        assert ann.post("/callback/success/approval", form).status_code == 409
    assert DOMAIN in page
