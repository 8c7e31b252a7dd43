from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client.api import Api, FixedToken
from octelium.client.channel import open_channel
from octelium.client.errors import ApiError
from octelium.client.settings import Target
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import user_v1_pb2 as user
from tests.client.standin import DOMAIN, RefusedError, StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Tokens:
    """Tokens in a row; the next after each rejection."""

    def __init__(self, *tokens: str) -> None:
        self.left = list(tokens)
        self.rejected: list[str] = []

    def access_token(self) -> str:
        return self.left[0]

    def after_rejection(self, rejected: str) -> str | None:
        self.rejected.append(rejected)
        self.left.pop(0)
        return self.left[0] if self.left else None


@pytest.fixture
def connect(cluster: StandIn) -> Iterator[Callable[..., Api]]:
    cluster.new_session()
    name = f"octelium-api.{DOMAIN}"
    target = Target(DOMAIN, "127.0.0.1", cluster.port, name, cluster.authority.pem)
    with open_channel(target, pytest.fail) as channel:
        yield lambda tokens: Api(channel, tokens, sleep=lambda _: None)


def test_each_service_is_called_with_the_token(
    cluster: StandIn, connect: Callable[..., Api]
) -> None:
    api = connect(FixedToken("access-1"))
    api.user.call("GetStatus", user.GetStatusRequest())
    api.core.call("ListUser", core.ListUserOptions())
    api.ext.call("ListAccessLog", ext.ListAccessLogRequest())
    assert [call.metadata["x-octelium-auth"] for call in cluster.calls] == ["access-1"] * 3
    assert api.core.has("ListUser")
    assert api.core.input("ListUser") is core.ListUserOptions


def test_a_refused_token_is_renewed_and_the_call_repeated_once(
    cluster: StandIn, connect: Callable[..., Api]
) -> None:
    tokens = Tokens("old", "access-1")
    reply = connect(tokens).user.call("GetStatus", user.GetStatusRequest())
    assert reply.domain == DOMAIN
    assert tokens.rejected == ["old"]
    with pytest.raises(ApiError, match="Unauthenticated"):
        connect(Tokens("old", "older", "access-1")).user.call("GetStatus", user.GetStatusRequest())


def test_a_token_that_cannot_be_renewed(connect: Callable[..., Api]) -> None:
    with pytest.raises(ApiError, match="no such token"):
        connect(FixedToken("old")).user.call("GetStatus", user.GetStatusRequest())


def test_other_refusals_do_not_renew(cluster: StandIn, connect: Callable[..., Api]) -> None:
    cluster.failures["GetStatus"] = [RefusedError("PERMISSION_DENIED", "no")]
    tokens = Tokens("access-1", "other")
    with pytest.raises(ApiError, match="PermissionDenied"):
        connect(tokens).user.call("GetStatus", user.GetStatusRequest())
    assert tokens.rejected == []


def test_a_stream_renews_its_token_too(cluster: StandIn, connect: Callable[..., Api]) -> None:
    cluster.live.put(RefusedError("UNAUTHENTICATED", "expired"))
    cluster.live.put(core.AccessLog(kind="AccessLog"))
    cluster.live.put(None)
    tokens = Tokens("old", "access-1")
    replies = list(connect(tokens).ext.stream("WatchAccessLog", ext.ListAccessLogRequest()))
    assert len(replies) == 1
    assert [call.metadata["x-octelium-auth"] for call in cluster.calls] == ["old", "access-1"]
