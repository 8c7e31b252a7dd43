"""What stands in addresses is of use once, in one place, and is written down nowhere.

Addresses end up in histories, logs and `Referer` (RFC 9700 section 4.2, RFC 6750 section 5.3).
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import grpc
import pytest

from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.e2e.cluster import wait_for
from tests.security.test_one_off import call
from tests.security.test_open_redirects import request_of
from tests.security.visitor import ACCESS, REFRESH, STATE, Visitor, gives_nothing, onward

if TYPE_CHECKING:
    from tests.security.lab import Lab

VERIFIER = bytes(range(32))


@pytest.mark.parametrize(
    "name", [ACCESS, REFRESH, "access_token", "token", "authorization", "x-octelium-auth", "jwt"]
)
def test_no_token_in_an_address_counts(lab: Lab, name: str) -> None:
    ann = lab.as_ann()
    nobody = Visitor(lab.cluster, lab.client, ann.address)
    for token in (ann.cookies[ACCESS], ann.cookies[REFRESH]):
        for service in ("demo-nginx", "portal"):
            url = lab.cluster.url(service, f"/?{urlencode({name: token})}")
            assert nobody.get(url).status_code == 303
            assert nobody.get(url, Authorization="Bearer").status_code != 200
        page = nobody.get(f"/authenticators?{urlencode({name: token})}")
        assert page.status_code == 303
        form = nobody.send("POST", lab.cluster.url("demo-nginx"), data={name: token})
        assert form.status_code in (303, 401, 403)


def test_no_page_tells_others_its_address(lab: Lab) -> None:
    nobody, ann = lab.visitor(), lab.as_ann()
    ann.get(f"/login?octelium_req={request_of()}")
    ann.get("/callback/success")
    begun = nobody.post("/oauth2/device_authorization", {"client_id": "cli"}).json()
    pages = [
        nobody.get(f"/login?octelium_req={request_of()}"),
        nobody.post("/begin", {"uid": lab.uid("liar"), "query": ""}),
        nobody.get("/denied?id=abcd-efgh-24-0000-000z"),
        ann.get("/callback/success/approval"),
        ann.get(f"/device?user_code={begun['user_code']}"),
        ann.get("/authenticators"),
        ann.get(lab.cluster.url("portal", "/account")),
    ]
    for page in pages:
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["referrer-policy"] in ("same-origin", "no-referrer")
        assert page.headers["cache-control"] == "no-store"
    assert nobody.get("/callback?code=x&state=y").headers["cache-control"] == "no-store"


def approved(lab: Lab, ann: Visitor, challenge: bytes) -> str:
    """The authentication token that a browser brings to a command line."""
    ann.get(f"/login?octelium_req={request_of(code_challenge=challenge)}")
    ann.get("/callback/success")
    page = ann.get("/callback/success/approval").text
    (asked,) = set(re.findall(r'name="request" value="([^"]+)"', page))
    form = {"request": asked, "decision": "approve"}
    url = urlsplit(onward(ann.post("/callback/success/approval", form)))
    assert (url.scheme, url.hostname, url.port) == ("http", "localhost", 20_000)
    (text,) = parse_qs(url.query)["octelium_response"]
    answer = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return auth.ClientLoginResponse.FromString(answer).authentication_token


def test_what_a_browser_brings_to_a_command_line(lab: Lab) -> None:
    """It is bound to a secret that never left the command line, and of use once (RFC 7636)."""
    ann, stranger = lab.as_ann(), lab.visitor()
    token = approved(lab, ann, hashlib.sha256(VERIFIER).digest())
    method = "AuthenticateWithAuthenticationToken"

    def use(verifier: bytes) -> object:
        request = auth.AuthenticateWithAuthenticationTokenRequest(
            authentication_token=token, code_verifier=verifier
        )
        return call(lab, stranger, method, request)

    for verifier in (b"", VERIFIER[::-1], hashlib.sha256(VERIFIER).digest()):
        with lab.refused(stranger, "code verifier"):
            assert use(verifier) == grpc.StatusCode.UNAUTHENTICATED
    nobody = Visitor(lab.cluster, lab.client, stranger.address)
    response = nobody.get(lab.cluster.url("demo-nginx"), Authorization=f"Bearer {token}")
    assert response.status_code in (303, 401, 403)
    assert isinstance(use(VERIFIER), auth.SessionToken)
    with lab.refused(stranger, ""):
        assert use(VERIFIER) == grpc.StatusCode.UNAUTHENTICATED


def test_nothing_of_it_is_in_a_log(lab: Lab) -> None:
    """Neither in what the API shows of them, nor in the files, nor in what the processes print."""
    visitor = lab.visitor()
    lab.liar.claims = {"email": "ann@example.com"}
    there = visitor.begin(lab.uid("liar"))
    state = visitor.cookies[STATE]
    answer = lab.liar.authorize(there)
    lost = {"code": "lost-code-of-nobody", "state": "l" * 36}
    gives_nothing(Visitor(lab.cluster, lab.client, visitor.address).come_back(lost))
    visitor.come_back(answer)
    machine = visitor.post("/oauth2/device_authorization", {"client_id": "cli"}).json()
    visitor.get(f"/device?user_code={machine['user_code']}")
    token = approved(lab, visitor, hashlib.sha256(VERIFIER).digest())
    marker = "a-query-that-is-remembered"
    assert visitor.get(lab.cluster.url("demo-nginx", f"/?q={marker}")).status_code == 200
    secrets = [
        answer["code"],
        state,
        *lost.values(),
        machine["user_code"],
        machine["device_code"],
        token,
        visitor.cookies[ACCESS],
        visitor.cookies[REFRESH],
        request_of(code_challenge=hashlib.sha256(VERIFIER).digest()),
    ]

    def written() -> bytes:
        files = [file for file in lab.cluster.data.rglob("log*") if file.is_file()]
        data = b"".join(file.read_bytes() for file in [*files, lab.cluster.log])
        assert marker.encode() in data
        return data

    data = wait_for(written)
    shown = lab.api.call(
        ext,
        "ListAccessLog",
        ext.ListAccessLogRequest(limit=1000),
        x_octelium_auth=lab.api.access_token,
    )
    attempts = "".join(str(entry) for entry in lab.entries(visitor.address))
    assert "/callback" in str(shown)
    for secret in secrets:
        assert secret
        assert secret.encode() not in data
        assert secret not in str(shown)
        assert secret not in attempts
