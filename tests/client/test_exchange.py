from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client.channel import open_channel
from octelium.client.errors import ApiError
from octelium.client.exchange import AuthExchange
from octelium.client.settings import Target
from octelium.client.stub import Stub
from octelium.schema.pb import auth_v1_pb2 as auth
from tests.client.standin import ASSERTION, DOMAIN, TOKEN, RefusedError, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def exchange(cluster: StandIn) -> Iterator[AuthExchange]:
    name = f"octelium-api.{DOMAIN}"
    target = Target(DOMAIN, "127.0.0.1", cluster.port, name, cluster.authority.pem)
    with open_channel(target, pytest.fail) as channel:
        service = auth.DESCRIPTOR.services_by_name["MainService"]
        yield AuthExchange(Stub(channel, service, sleep=lambda _: None))


def test_login_refresh_logout(cluster: StandIn, exchange: AuthExchange) -> None:
    first = exchange.authenticate(TOKEN, ["api:*"])
    second = exchange.refresh(first.refresh_token)
    exchange.logout(second.refresh_token)
    assert (first.access_token, second.access_token) == ("access-1", "access-2")
    asked = cluster.calls[0].request
    assert (asked.authentication_token, list(asked.scopes)) == (TOKEN, ["api:*"])
    tokens = [call.metadata.get("x-octelium-refresh-token") for call in cluster.calls]
    assert tokens == [None, "refresh-1", "refresh-2"]
    assert not any("x-octelium-auth" in call.metadata for call in cluster.calls)


def test_a_session_that_has_ended_is_no_error_at_logout(exchange: AuthExchange) -> None:
    exchange.logout("refresh-of-old")


def test_other_failures_of_logout_are(cluster: StandIn, exchange: AuthExchange) -> None:
    cluster.failures["Logout"] = [RefusedError("INTERNAL", "no")]
    with pytest.raises(ApiError, match="Internal: no"):
        exchange.logout("refresh-1")


def test_an_empty_token_is_an_error(
    cluster: StandIn, exchange: AuthExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "new_session", auth.SessionToken)
    with pytest.raises(ApiError, match="without a token"):
        exchange.authenticate(TOKEN, [])


def test_a_verifier_goes_along(cluster: StandIn, exchange: AuthExchange) -> None:
    exchange.authenticate(TOKEN, [], b"v" * 32)
    assert cluster.calls[0].request.code_verifier == b"v" * 32


@pytest.mark.parametrize(
    ("provider", "name", "uid"),
    [
        ("", "", ""),
        ("corp", "corp", ""),
        ("not-a-uuid-of-any-kind", "not-a-uuid-of-any-kind", ""),
        (
            "00000000-0000-4000-8000-000000000001",
            "",
            "00000000-0000-4000-8000-000000000001",
        ),
    ],
)
def test_an_assertion_and_its_identity_provider(
    cluster: StandIn, exchange: AuthExchange, provider: str, name: str, uid: str
) -> None:
    assert exchange.vouch(ASSERTION, provider, ["api:*"]).access_token == "access-1"
    asked = cluster.calls[0].request
    assert (asked.assertion, list(asked.scopes)) == (ASSERTION, ["api:*"])
    assert (asked.identity_provider_ref.name, asked.identity_provider_ref.uid) == (name, uid)
