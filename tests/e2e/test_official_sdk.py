"""Workloads with the official Python SDK, unchanged, which knows no other port than 443.

It signs in by assertions of a real issuer (`oidc-provider` from npm), by client credentials and by
a token, and finds the Cluster by its domain alone. `sdk_logins.py` is what runs there.
"""

from __future__ import annotations

import json
import secrets
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from tests.e2e.cluster import DOMAIN, ROOT
from tests.e2e.documents import credential, service, workload
from tests.e2e.echoes import wait_until_bound
from tests.e2e.private_network import PrivateNetwork, private_network
from tests.e2e.test_sdk import MADE, WHOLE
from tests.peers import sdk
from tests.peers.oidc import oidc_provider
from tests.peers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.documents import Document

CLIENTS = ("builder", "boss", "reader", "scoped")
SCRIPT = ROOT / "tests/e2e/sdk_logins.py"
HOWS = ("by-address", "by-content")
WORKLOADS = ("builder", "reader", "stranger", "stale", "person")


@dataclass(frozen=True)
class World:
    """A Cluster that trusts an issuer, and what the SDK is told of both."""

    network: PrivateNetwork
    told: dict[str, Any]

    def sdk(self, scenario: str) -> Any:
        """What comes of a scenario of `sdk_logins.py`."""
        words: list[str | Path] = [sdk.python(), "-s", "-E", SCRIPT, scenario]
        try:
            done = self.network.host.run(
                *words, input=json.dumps(self.told), env=self.network.environment()
            )
        except subprocess.CalledProcessError as error:
            raise AssertionError(f"{scenario}: {error.stderr[-4000:]}") from error
        return json.loads(done.stdout)

    def refused(self) -> list[Any]:
        """Refused attempts to sign in, as administrators see them."""
        words = ("logs", "auth", "--outcome", "refused", "-o", "json")
        return [json.loads(line) for line in self.network.cluster.ctl(*words).splitlines()]


def documents(issuer: str, upstream: str) -> list[Document]:
    """The issuer, its workloads, their Credentials, and what they may reach."""

    def known(name: str, *policies: str, **spec: Any) -> Document:
        identity = {"identityProvider": "ci", "identifier": name}
        more = {
            "authentication": {"identities": [identity]},
            "authorization": {"policies": list(policies)},
            **spec,
        }
        return workload(name, **more)

    return [
        {
            "kind": "ClusterConfig",
            "metadata": {"name": "default"},
            "spec": {"session": {"workload": {"accessTokenDuration": {"minutes": 30}}}},
        },
        {
            "kind": "IdentityProvider",
            "metadata": {"name": "ci"},
            "spec": {"oidcIdentityToken": {"issuerURL": issuer}},
        },
        known("builder", "octelium-api-full-access"),
        known("boss", "octelium-api-full-access"),
        known("reader"),
        known("stale", "octelium-api-full-access"),
        known("person", "octelium-api-full-access", type="HUMAN"),
        service("wiki", upstream, "allow-all"),
        service("vault", upstream, "deny-all"),
        credential("builder-token", "builder", "AUTH_TOKEN"),
        *(credential(name, name, "OAUTH2") for name in ("builder", "boss", "reader")),
        credential("scoped", "builder", "OAUTH2"),
    ]


@pytest.fixture(scope="module", name="world")
def world_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("sdk")
    workloads = {name: secrets.token_urlsafe(24) for name in WORKLOADS}
    keys: list[RSAKey | ECKey] = [
        RSAKey.generate_key(2048, {"kid": "r", "use": "sig"}),
        ECKey.generate_key("P-256", {"kid": "e", "use": "sig"}),
    ]
    port = str(free_port())
    with private_network(folder, ["wiki", "vault"]) as made:
        host, cluster = made.host, made.cluster
        with (
            oidc_provider(
                cluster.url("", "/callback"),
                {},
                workloads=workloads,
                within=host.enter,
                stale="stale",
                jwks={"keys": [key.as_dict(private=True) for key in keys]},
            ) as provider,
            host.process("python3", ROOT / "tests/e2e/echo.py", port),
        ):
            wait_until_bound(host, f"tcp {port}")
            cluster.apply(*documents(provider.issuer, f"http://127.0.0.1:{port}"))
            told = {
                "issuer": provider.issuer,
                "jwks": json.dumps({"keys": [key.as_dict(private=False) for key in keys]}),
                "audience": f"https://{DOMAIN}",
                "workloads": workloads,
                "administrator": cluster.token,
                "clients": CLIENTS,
            }
            world = World(made, told)
            told |= world.sdk("secrets")
            del told["administrator"]
            yield world


def test_it_signs_in_and_uses_the_cluster(world: World) -> None:
    for way, done in world.sdk("everything").items():
        assert (done["who"]["user"], done["who"]["type"]) == ("builder", "CLIENTLESS"), way
        assert {"wiki.default", "vault.default"} <= set(done["services"]), way
        kinds = done["kinds"]
        assert [kinds[kind] for kind in MADE] == [WHOLE] * len(MADE), way
        assert kinds["cluster_config"] == ["get", "update"]
        status, page = done["wiki"]
        received = json.loads(page)
        assert (status, received["target"]) == (200, "/page?q=1"), way
        # The upstream does not get the token.
        assert not {"x-octelium-auth", "authorization", "cookie"} & {
            name.lower() for name, _ in received["headers"]
        }
        assert done["vault"][0] == 403, way


def test_an_assertion_at_the_token_endpoint(world: World) -> None:
    done = world.sdk("client_assertion")
    assert (done["token_type"], done["user"], done["type"]) == ("Bearer", "builder", "CLIENTLESS")


def test_keys_of_the_issuer_in_three_ways(world: World) -> None:
    done = world.sdk("providers")
    for way in ("ci", *HOWS):
        assert done.pop(way)["user"] == "builder", way
    # A disabled one beside it does not matter, but of two it has to be said which.
    for way in HOWS:
        assert done.pop(f"beside {way}")["user"] == "builder", way
    assert {way: error for way, (error, _) in done.items()} == {
        f"{state} {way}": "UNAUTHENTICATED"
        for state in ("undecided", "disabled", "deleted")
        for way in HOWS
    }


def test_tokens_are_renewed_before_they_expire(world: World) -> None:
    for way, done in world.sdk("renewal").items():
        assert done.pop("former token")[0] == "UNAUTHENTICATED", way
        assert set(done) == {"kept", "renewed", "same session", "new token"}
        assert all(done.values()), (way, done)


def test_it_keeps_its_token_when_it_renews_too_often(world: World) -> None:
    done = world.sdk("too_often")
    assert (done["different"], done["kept"]) == (6, True)
    assert done["after its end"] == [
        "AuthenticationError",
        "refresh was rate limited without a usable access token",
    ]


def test_sessions_with_scopes(world: World) -> None:
    for way, (listed, wiki) in world.sdk("scoped").items():
        assert (listed[0], wiki) == ("PERMISSION_DENIED", 403), way


def test_sign_ins_that_are_refused(world: World) -> None:
    before = world.refused()
    done = world.sdk("refusals")
    assert done["sessions"] == 0
    http = "OAuth2 token fetch failed with HTTP status "
    unauthenticated = "UNAUTHENTICATED"
    expected = {
        "wrong audience": (unauthenticated, "the token's audience is"),
        "expired": (unauthenticated, "the token has expired"),
        "of nobody": (unauthenticated, "no User has the identity 'stranger'"),
        "no such provider": (unauthenticated, "no IdentityProvider 'none'"),
        "of a person": ("PERMISSION_DENIED", "User person is no WORKLOAD"),
        "wrong scope": (unauthenticated, "'api' is no scope"),
        "wrong secret": ("AuthenticationError", "the client secret belongs to another client"),
        "no such client": ("AuthenticationError", "the client secret belongs to another client"),
        "wrong scope of a client": ("AuthenticationError", "'api' is no scope"),
        "wrong token": (unauthenticated, "no valid token"),
        "wrong scope of a token": ("INVALID_ARGUMENT", "'api' is no scope"),
    }
    raised = {what: error for what, (error, _) in done["raised"].items()}
    assert raised.pop("wrong access token") == unauthenticated  # which is no sign-in
    assert raised == {what: error for what, (error, _) in expected.items()}
    assert {text for _, text in done["raised"].values() if http in text} == {f"{http}401"}
    # Administrators see why, in the order of the attempts; who tried does not.
    reasons = [entry["reason"] for entry in world.refused()[len(before) :]]
    assert [
        reason if reason.startswith(why) else why
        for reason, (_, why) in zip(reasons, expected.values(), strict=True)
    ] == reasons
    assert "audience" not in str(done["raised"]["wrong audience"][1])


def test_sessions_that_are_revoked(world: World) -> None:
    done = world.sdk("revoked")
    for way, (first, _, _) in done.items():
        assert first[0] == "UNAUTHENTICATED", way
    for way in ("assertion", "oauth2"):  # what they have proves who they are again
        assert done[way][1:] == [["nothing", 200], ["nothing", "another Session"]], way
    gone = "Session expired and the authentication token cannot be reused"
    assert done["auth_token"][1:] == [["AuthenticationError", gone]] * 2


def test_it_logs_out(world: World) -> None:
    done = world.sdk("logout")
    assert done["former token"][0] == "UNAUTHENTICATED"
    assert done["then"] == "another Session"


def test_a_user_without_permission_who_is_then_disabled(world: World) -> None:
    done = world.sdk("disabled")
    for way, (listed, used, _) in done.items():
        assert (listed[0], used[0]) == ("PERMISSION_DENIED", "PERMISSION_DENIED"), way
    assert done["assertion"][2] == ["PERMISSION_DENIED", "User reader is disabled or locked"]
    assert done["oauth2"][2] == [
        "AuthenticationError",
        "OAuth2 token fetch failed with HTTP status 400",
    ]
