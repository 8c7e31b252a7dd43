from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING

import pytest

from octelium.client import platforms
from octelium.client.assertions import assertion_of
from octelium.client.errors import SettingsError
from tests.client.exchanged import Recorded
from tests.http import certs
from tests.peers.https import HttpsServer, Response, http_server, https_server
from tests.peers.issuer import issuer
from tests.peers.platforms import ManagedIdentity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATH = "/token"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time enough for a busy machine."""
    monkeypatch.setattr(platforms, "_SECONDS", 60.0)


@pytest.fixture(name="platform")
def platform_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpsServer]:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(certs.ca().chain)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with https_server() as server:
        yield server


def job(platform: HttpsServer, **more: str) -> dict[str, str]:
    return {
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{platform.origin}{PATH}?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer-token",
        **more,
    }


def test_a_job_of_github_actions(platform: HttpsServer, tmp_path: Path) -> None:
    platform.routes[PATH] = lambda _: Response.json({"value": "a.b.c"})
    exchange = Recorded()
    environ = job(platform, SSL_CERT_FILE=str(tmp_path / "ca.pem"))
    assertion_of("github:github-actions", environ, "lab.test").tokens(exchange, [])
    assertion_of("github-actions:audience=api://x", environ, "lab.test").tokens(exchange, [])
    assert exchange.asked == [("vouch", "a.b.c", "github", ()), ("vouch", "a.b.c", "", ())]
    assert [request.query for request in platform.requests] == [
        {"api-version": "2.0", "audience": "https://lab.test"},
        {"api-version": "2.0", "audience": "api://x"},
    ]
    assert platform.requests[0].headers["authorization"] == "Bearer bearer-token"


def test_outside_of_a_job(platform: HttpsServer) -> None:
    with pytest.raises(SettingsError, match="no job of GitHub Actions") as caught:
        platforms.github_actions({}, "x")
    assert "id-token: write" in caught.value.remedy
    plain = job(platform, ACTIONS_ID_TOKEN_REQUEST_URL="http://localhost/")
    with pytest.raises(SettingsError, match="not an https address"):
        platforms.github_actions(plain, "x")
    with pytest.raises(SettingsError, match="cannot use the CA file"):
        platforms.github_actions(job(platform, SSL_CERT_FILE="/none"), "x")
    assert platform.requests == []


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Response.json({"message": "not today"}, 403), "not today"),
        (Response.json({"value": ""}), "status 200"),
        (Response.json({"value": ["a"]}), "status 200"),
        (Response.json(["a"]), "no JSON object"),
        (Response(b"<html>", 502), "status 502, which is no JSON"),
        (Response.redirect("https://localhost:1/"), "no JSON"),
        (Response(b" " * 70_000), "too long"),
    ],
)
def test_answers_without_a_token(platform: HttpsServer, answer: Response, problem: str) -> None:
    platform.routes[PATH] = lambda _: answer
    with pytest.raises(SettingsError, match=problem) as caught:
        platforms.github_actions(job(platform), "x")
    assert "bearer-token" not in str(caught.value)


def test_a_managed_identity_of_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    # No proxy may learn of it.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with http_server() as server, issuer() as platform:
        identity = ManagedIdentity(server, platform, "object-1")
        token = platforms.azure("api://x", url=identity.url)
        with pytest.raises(SettingsError, match="Required audience parameter not specified"):
            platforms.azure("", url=identity.url)
    claims = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    assert (claims["sub"], claims["aud"]) == ("object-1", "api://x")


def test_elsewhere_than_on_azure() -> None:
    with pytest.raises(SettingsError, match="metadata service gives no token"):
        platforms.azure("lab.test", url="http://127.0.0.1:1/")
