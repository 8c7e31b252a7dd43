"""Nothing that a client writes into a request gives it an identity at the front door."""

from __future__ import annotations

import json
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.documents import credential, service, workload

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster

FORGED = {
    "X-Octelium-Session-Uid": "11111111-1111-4111-8111-111111111111",
    "X_Octelium_Session_Uid": "11111111-1111-4111-8111-111111111111",
    "x-octelium-session-ref": '{"kind": "Session"}',
    "X-OCTELIUM-REQ-PATH": "/x",
    "X-Octelium-Client-Address": "100.65.0.9",
    "X-Forwarded-For": "100.65.0.9",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "Forwarded": "for=100.65.0.9",
    "X-Real-IP": "100.65.0.9",
    "X-Original-URL": "/admin",
    "X-Rewrite-URL": "/admin",
}


@pytest.fixture(scope="module")
def guarded(cluster: Cluster, upstream_port: int) -> Cluster:
    anonymous = service("anon", f"http://127.0.0.1:{upstream_port}", isAnonymous=True)
    del anonymous["spec"]["authorization"]
    cluster.apply(
        workload("forger"),
        service("guarded", f"http://127.0.0.1:{upstream_port}", "allow-all"),
        anonymous,
        credential("forger-token", "forger"),
    )
    return cluster


def token(cluster: Cluster) -> str:
    made = json.loads(cluster.ctl("create", "credential", "forger-token", "--rotate", "-o", "json"))
    return str(made["accessToken"]["accessToken"])


def received(body: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in body["headers"]}


@pytest.mark.parametrize("name", FORGED)
def test_no_header_makes_a_session(guarded: Cluster, name: str) -> None:
    with guarded.http() as http:
        assert http.get(guarded.url("guarded"), headers={name: FORGED[name]}).status_code == 401


def test_forged_headers_do_not_reach_the_upstream(guarded: Cluster) -> None:
    bearer = {"Authorization": f"Bearer {token(guarded)}"}
    with guarded.http() as http:
        answer = http.get(guarded.url("guarded"), headers={**FORGED, **bearer})
        assert answer.status_code == 200
        names = received(answer.json())
    passed = {name for name in names if "octelium" in name or "forward" in name}
    assert passed == set()
    assert not {"x-real-ip", "authorization"} & set(names)


def test_the_clusters_own_cookies_are_removed_and_others_kept(guarded: Cluster) -> None:
    cookie = f"a=1; octelium_auth={token(guarded)}; b=2; octelium_rt=zzz; c=3"
    with guarded.http() as http:
        answer = http.get(guarded.url("guarded"), headers={"Cookie": cookie})
        assert answer.status_code == 200
        assert received(answer.json())["cookie"] == "a=1; b=2; c=3"


@pytest.mark.parametrize(
    "cookie",
    [
        "octelium_auth=",
        "octelium_auth=x",
        "octelium_auth",
        "=octelium_auth",
        'octelium_auth="a',
        ";;;",
        "\u00e9=1",
    ],
)
def test_a_malformed_cookie_is_no_identity(guarded: Cluster, cookie: str) -> None:
    with guarded.http() as http:
        answer = http.get(guarded.url("guarded"), headers=[(b"cookie", cookie.encode("latin-1"))])
    assert answer.status_code in (400, 401)


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 100.65.0.9 127.0.0.1 40000 443\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x64\x41\x00\x09\x7f\x00\x00\x01\x9c\x40\x01\xbb",
    ],
    ids=["v1", "v2"],
)
def test_a_proxy_header_from_anybody_is_not_taken(guarded: Cluster, header: bytes) -> None:
    raw = socket.create_connection(("127.0.0.1", guarded.port), 60)
    raw.sendall(header)
    with pytest.raises((ssl.SSLError, ConnectionError, OSError)):
        guarded.tls().wrap_socket(raw, server_hostname="guarded.octelium.localhost")
    raw.close()


def test_a_source_address_of_the_tunnels_range_is_no_identity(guarded: Cluster) -> None:
    """The loopback interface takes any 127/8 source; identity must come from the arrival alone."""
    context = guarded.tls()
    raw = socket.create_connection(
        ("127.0.0.1", guarded.port), 60, source_address=("127.65.0.9", 0)
    )
    with context.wrap_socket(raw, server_hostname="guarded.octelium.localhost") as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: guarded.octelium.localhost\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_an_earlier_invalid_token_is_not_skipped_for_a_later_one(guarded: Cluster) -> None:
    headers = {"X-Octelium-Auth": "invalid", "Authorization": f"Bearer {token(guarded)}"}
    with guarded.http() as http:
        assert http.get(guarded.url("guarded"), headers=headers).status_code == 401


@pytest.mark.parametrize("agent", ["kube-probe/1.29", "GoogleHC/1.0", "ELB-HealthChecker/2.0"])
@pytest.mark.parametrize("path", ["/healthz", "/ping", "/.well-known/health", "/readyz"])
def test_no_path_and_no_user_agent_is_magic(guarded: Cluster, agent: str, path: str) -> None:
    with guarded.http() as http:
        answer = http.get(guarded.url("guarded", path), headers={"User-Agent": agent})
        assert answer.status_code == 401


def test_another_host_than_the_certificates_is_misdirected(guarded: Cluster) -> None:
    with guarded.connect("guarded.octelium.localhost") as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 421 ")
    with guarded.http() as http:
        assert http.get(guarded.url("nobody")).status_code == 404
