from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from octelium.client.client import Client
from octelium.client.errors import ApiError, NotLoggedIn
from octelium.client.settings import Flags
from octelium.client.tunnel.stream import ConnectStream
from octelium.client.tunnel.wanted import Wanted
from octelium.schema.pb import user_v1_pb2 as user
from tests.client.standin import NOW, RefusedError
from tests.client.tunnel.pieces import state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.client.standin import StandIn

FIRST = Wanted().initialize("both")


@pytest.fixture
def client(cluster: StandIn, tmp_path: Path) -> Iterator[Client]:
    environ = cluster.environ(tmp_path)
    made = Client(Flags(), environ, warn=print, clock=lambda: NOW, sleep=lambda _: None)
    yield made
    made.close()


async def _next(stream: ConnectStream) -> user.ConnectResponse | None:
    async with asyncio.timeout(60):
        return await stream.next()


async def _heard(cluster: StandIn) -> user.ConnectRequest | None:
    found = await asyncio.to_thread(cluster.heard.get, timeout=60)
    assert found is None or isinstance(found, user.ConnectRequest)
    return found


async def test_a_conversation(cluster: StandIn, client: Client) -> None:
    stream = ConnectStream(client.api.user, FIRST)
    cluster.said.put(user.ConnectResponse(state=state()))
    event = await _next(stream)
    assert event is not None
    assert event.state == state()
    (call,) = [each for each in cluster.calls if each.method == "Connect"]
    assert call.request == FIRST
    assert call.metadata["x-octelium-auth"] == cluster.access_token
    stream.say(user.ConnectRequest(keep_alive=user.ConnectRequestKeepAlive()))
    said = await _heard(cluster)
    assert said is not None
    assert said.HasField("keep_alive")
    cluster.said.put(None)
    assert await _next(stream) is None
    stream.close()


async def test_closing_ends_it_for_the_cluster_too(cluster: StandIn, client: Client) -> None:
    stream = ConnectStream(client.api.user, FIRST)
    cluster.said.put(user.ConnectResponse(state=state()))
    await _next(stream)
    stream.close()
    stream.close()
    assert await _heard(cluster) is None


async def test_a_refused_token_is_renewed_once(cluster: StandIn, client: Client) -> None:
    cluster.failures["Connect"] = [RefusedError("UNAUTHENTICATED", "old token")]
    stream = ConnectStream(client.api.user, FIRST)
    cluster.said.put(user.ConnectResponse(state=state()))
    event = await _next(stream)
    assert event is not None
    assert "AuthenticateWithRefreshToken" in cluster.methods()
    assert [each.request for each in cluster.calls if each.method == "Connect"] == [FIRST, FIRST]
    stream.say(user.ConnectRequest(keep_alive=user.ConnectRequestKeepAlive()))
    assert await _heard(cluster) is not None
    stream.close()


async def test_a_token_that_stays_refused(cluster: StandIn, client: Client) -> None:
    refused = RefusedError("UNAUTHENTICATED", "never")
    cluster.failures["Connect"] = [refused, refused, refused]
    stream = ConnectStream(client.api.user, FIRST)
    with pytest.raises(ApiError) as caught:
        await _next(stream)
    assert caught.value.code == "UNAUTHENTICATED"
    assert cluster.methods().count("Connect") == 2
    stream.close()


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "INVALID_ARGUMENT", "UNAVAILABLE"])
async def test_other_refusals(cluster: StandIn, client: Client, code: str) -> None:
    cluster.failures["Connect"] = [RefusedError(code, "because")]
    stream = ConnectStream(client.api.user, FIRST)
    with pytest.raises(ApiError, match="because") as caught:
        await _next(stream)
    assert caught.value.code == code
    stream.close()


async def test_nobody_is_logged_in(cluster: StandIn, tmp_path: Path) -> None:
    environ = cluster.environ(tmp_path)
    del environ["OCTELIUM_AUTH_TOKEN"]
    client = Client(Flags(), environ, warn=print)
    stream = ConnectStream(client.api.user, FIRST)
    with pytest.raises(NotLoggedIn):
        await _next(stream)
    stream.close()
    client.close()


async def test_a_stream_that_breaks_half_way(cluster: StandIn, client: Client) -> None:
    """A token refused later on is no reason to begin again within the same stream."""
    stream = ConnectStream(client.api.user, FIRST)
    cluster.said.put(user.ConnectResponse(state=state()))
    await _next(stream)
    cluster.said.put(RefusedError("UNAUTHENTICATED", "gone"))
    with pytest.raises(ApiError, match="gone"):
        await _next(stream)
    assert cluster.methods().count("Connect") == 1
    stream.close()
