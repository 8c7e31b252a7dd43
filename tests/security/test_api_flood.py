"""Strangers who open calls to the API and never finish them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from octelium.apiserver.auth import DESCRIPTOR, LIMITS, MAX_REQUEST_BYTES, AuthService
from octelium.apiserver.rpc import Binding
from octelium.apiserver.server import ApiServer
from octelium.schema.pb import auth_v1_pb2 as auth
from tests.apiserver.calls import PAGES
from tests.identity.cluster import Cluster, open_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SIGN_IN = f"/{DESCRIPTOR.full_name}/AuthenticateWithAuthenticationToken"
ADDRESS = "x-octelium-client-address"
CONNECTIONS, STREAMS = 12, 100


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path) as cluster:
        yield cluster


async def publish() -> None:
    """Nobody follows."""


@asynccontextmanager
async def serving(cluster: Cluster, path: Path) -> AsyncIterator[None]:
    binding = Binding(DESCRIPTOR, AuthService(cluster.authentication, PAGES), MAX_REQUEST_BYTES)
    server = ApiServer([binding], publish=publish, limits=LIMITS)
    server.listen(path)
    await server.start()
    try:
        yield
    finally:
        await server.stop(0)


def connect(path: Path) -> grpc.aio.Channel:
    """A connection of its own."""
    return grpc.aio.insecure_channel(
        f"unix:{path}", options=[("grpc.use_local_subchannel_pool", 1)]
    )


async def sign_in(cluster: Cluster, channel: grpc.aio.Channel, address: str) -> auth.SessionToken:
    token = cluster.token(await cluster.add_credential(cluster.alice))
    call: Any = channel.unary_unary(
        SIGN_IN,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=auth.SessionToken.FromString,
    )
    # Official clients call again after this status too: in the midst of a burst an honest call may
    # count among the silent ones until its message has been read.
    for _ in range(16):
        try:
            reply: auth.SessionToken = await call(
                auth.AuthenticateWithAuthenticationTokenRequest(authentication_token=token),
                metadata=((ADDRESS, address),),
                timeout=60,
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
        else:
            return reply
    raise AssertionError("the login is shut")


@pytest.mark.parametrize("same_address", [True, False])
async def test_silent_calls_do_not_shut_the_login(
    cluster: Cluster, tmp_path: Path, *, same_address: bool
) -> None:
    """Even where everybody comes from one address, as behind a balancer that tells none."""
    path = tmp_path / "auth-api.sock"
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(cluster, path))
        calls: list[Any] = []
        for number in range(CONNECTIONS):
            channel = await stack.enter_async_context(connect(path))
            who = ((ADDRESS, "192.0.2.1" if same_address else f"192.0.2.{number}"),)
            calls += [channel.stream_unary(SIGN_IN)(metadata=who) for _ in range(STREAMS)]
        for call in calls:
            with suppress(grpc.aio.AioRpcError):  # those that gave way to newer ones have ended
                await call.wait_for_connection()
        mine = await stack.enter_async_context(connect(path))
        for _ in range(5):
            assert (await sign_in(cluster, mine, "192.0.2.1")).access_token
        async with asyncio.timeout(60):  # until all that have ended know it
            while sum(not call.done() for call in calls) > LIMITS.waiting:
                await asyncio.sleep(0.01)
        codes = {await call.code() for call in calls if call.done()}
        assert codes == {grpc.StatusCode.DEADLINE_EXCEEDED}
        for call in calls:
            call.cancel()
