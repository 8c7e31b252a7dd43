from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client.errors import ApiError, SettingsError
from octelium.client.login_host import LoginHost
from octelium.client.settings import Target
from tests.http import certs
from tests.peers.https import HttpsServer, Response, https_server

if TYPE_CHECKING:
    from collections.abc import Iterator

D = "localhost"


@pytest.fixture(name="server")
def server_fixture() -> Iterator[HttpsServer]:
    with https_server() as server:
        yield server


def port_of(server: HttpsServer) -> int:
    return int(server.origin.rpartition(":")[2])


def target(
    port: int, host: str = "127.0.0.1", *, domain: str = D, name: str = "", insecure: bool = False
) -> Target:
    ca = None if insecure else certs.ca().chain
    return Target(domain, host, port, name or f"octelium-api.{domain}", ca, insecure)


@pytest.mark.parametrize("host", ["127.0.0.1", f"octelium-api.{D}"])
def test_it_is_behind_the_front_door_of_the_api(server: HttpsServer, host: str) -> None:
    server.routes["/it"] = lambda request: Response.json({"form": request.form}, 201)
    login_host = LoginHost(target(port_of(server), host))
    assert login_host.get("/it") == (201, {"form": {}})
    assert login_host.post("/it", {"a": "b&c"}) == (201, {"form": {"a": "b&c"}})
    seen = server.requests[0].headers
    assert seen["host"] == f"localhost:{port_of(server)}"
    assert seen["user-agent"].startswith("octelium-cli/")


def test_a_name_in_the_certificate_that_was_set_holds_here_too(server: HttpsServer) -> None:
    server.routes["/it"] = lambda _: Response.json({})
    port = port_of(server)
    assert LoginHost(target(port, domain="lab.test", name="localhost")).get("/it") == (200, {})
    assert server.requests[0].headers["host"] == f"lab.test:{port}"
    with pytest.raises(ApiError, match="cannot reach"):
        LoginHost(target(port, domain="lab.test")).get("/it")


def test_who_is_not_trusted_is_told_nothing(server: HttpsServer) -> None:
    other = certs.issue("other", authority=True)
    bad = Target(D, "127.0.0.1", port_of(server), f"octelium-api.{D}", other.chain)
    with pytest.raises(ApiError, match="of an authority this computer does not trust") as caught:
        LoginHost(bad).post("/it", {"secret": "s"})
    assert "--ca-file ca.pem" in caught.value.remedy
    assert f"certificate of localhost:{port_of(server)} is" in str(caught.value)
    assert server.requests == []


def test_without_verification(server: HttpsServer) -> None:
    server.routes["/it"] = lambda _: Response.json({})
    assert LoginHost(target(port_of(server), insecure=True)).get("/it") == (200, {})


def test_what_cannot_be_used(server: HttpsServer) -> None:
    with pytest.raises(ApiError, match="no JSON") as caught:
        LoginHost(target(port_of(server))).get("/none")
    assert caught.value.code == "INTERNAL"
    with pytest.raises(ApiError, match=r"cannot reach https://localhost:1 at 127\.0\.0\.1:1"):
        LoginHost(target(1)).get("/it")
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    with pytest.raises(SettingsError, match="the CA cannot be used"):
        LoginHost(Target(D, "127.0.0.1", 1, D, broken)).get("/it")


def test_its_address() -> None:
    assert LoginHost(target(443)).origin == "https://localhost"
    assert LoginHost(target(8443)).origin == "https://localhost:8443"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://localhost/oauth2/token", "/oauth2/token"),
        ("https://localhost:9/oauth2/token", "/oauth2/token"),
        ("http://localhost/oauth2/token", None),
        ("https://evil.test/oauth2/token", None),
        ("https://localhost.evil.test/oauth2/token", None),
        ("https://localhost@evil.test/oauth2/token", None),
        ("https://localhost", None),
        ("https://[/", None),
        ("", None),
        (None, None),
        (["https://localhost/x"], None),
    ],
)
def test_only_addresses_of_the_cluster_are_followed(url: object, path: str | None) -> None:
    assert LoginHost(target(443)).path_of(url) == path
