from __future__ import annotations

import asyncio
import stat
from typing import TYPE_CHECKING

import grpc
import pytest

from octelium.apiserver.lasting.server import LIMITS, WINDOW_TIMEOUT
from tests.apiserver.lasting.world import PATIENCE, asked, open_world, prefixed

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.http.message import Fields
    from tests.apiserver.lasting.world import World

CODE = grpc.StatusCode
GRPC = (b"content-type", b"application/grpc")


async def test_the_socket_is_the_systems_own(world: World) -> None:
    assert stat.S_IMODE(world.path.stat().st_mode) == 0o600


async def test_a_socket_that_was_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "lasting.sock").touch()
    async with open_world(tmp_path) as world:
        client = world.raw(end=True)
        await client.end()
        assert client.code == 0


async def test_a_folder_that_is_not_there(world: World, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        world.server.listen(tmp_path / "nowhere" / "a.sock")


@pytest.mark.parametrize(
    ("method", "fields", "status"),
    [
        (b"GET", (GRPC,), 405),
        (b"POST", (), 415),
        (b"POST", ((b"content-type", b"application/json"),), 415),
    ],
)
async def test_what_is_no_call_is_refused_by_http(
    world: World, method: bytes, fields: Fields, status: int
) -> None:
    client = world.raw(method=method, fields=fields)
    await client.end()
    assert client.status == status
    assert not world.echo.calls


async def test_other_methods_are_unknown(world: World) -> None:
    client = world.raw(path="/test.Service/Other")
    await client.end()
    assert client.code == CODE.UNIMPLEMENTED.value[0]
    assert client.fields[b"grpc-message"] == b"test.Service/Other is not implemented"


async def test_compression_is_refused_before_anything_is_sent(world: World) -> None:
    client = world.raw(fields=(GRPC, (b"grpc-encoding", b"gzip")))
    await client.end()
    assert client.code == CODE.UNIMPLEMENTED.value[0]
    client = world.raw(fields=(GRPC, (b"grpc-encoding", b"identity")), end=True)
    await client.end()
    assert client.code == 0
    assert client.fields[b"grpc-accept-encoding"] == b"identity"


async def test_there_are_so_many_places_and_each_is_given_back(tmp_path: Path) -> None:
    async with open_world(tmp_path, most=3) as world:
        for _ in range(3):
            clients = [world.raw(prefixed(asked().SerializeToString())) for _ in range(3)]
            for client in clients:
                await client.answered.wait()
            late = world.raw(prefixed(asked().SerializeToString()))
            await late.end()
            assert late.code == CODE.RESOURCE_EXHAUSTED.value[0]
            for client in clients:
                assert client.stream is not None
                client.stream.send_end()
                await client.end()
                assert client.code == 0


async def test_a_stop_ends_what_does_not_end_by_itself(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        client = world.raw(prefixed(asked().SerializeToString()))
        await client.answered.wait()
        await world.server.stop(0.05)
        await client.end()
        assert client.error
        async with asyncio.timeout(PATIENCE):
            await world.echo.gone.wait()


async def test_a_stop_waits_for_what_ends(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        client = world.raw(prefixed(asked().SerializeToString()))
        await client.answered.wait()
        world.echo.clients[0].end()
        await world.server.stop(PATIENCE)
        await client.end()
        assert (client.error, client.code) == ("", 0)


def test_one_client_cannot_end_the_proxys_connection() -> None:
    assert min(LIMITS.reset_burst, LIMITS.control_burst, LIMITS.limited_bodies) > 1e9
    assert LIMITS.window_timeout == WINDOW_TIMEOUT
