from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from octelium.apiserver.lasting import ration
from octelium.apiserver.lasting.ration import BURST
from octelium.apiserver.lasting.server import MOST_KEPT_EACH
from octelium.schema.errors import Invalid
from octelium.store.errors import NotFound, PermissionDenied
from tests.apiserver.lasting.world import LIMIT, PATIENCE, Raw, asked, prefixed

if TYPE_CHECKING:
    from octelium.apiserver.lasting.call import LastingCall
    from tests.apiserver.lasting.world import World

CODE = grpc.StatusCode


async def replies(call: object) -> list[str]:
    async with asyncio.timeout(PATIENCE):
        return [reply.message.message async for reply in call]  # type: ignore[attr-defined]  # grpc.aio's calls have no public type


def timer_of(call: LastingCall) -> asyncio.TimerHandle | None:
    """What runs while a message is not complete."""
    return call._half


async def test_messages_go_both_ways_until_the_client_ends(world: World) -> None:
    call = world.call()
    for number in range(1, 4):
        await call.write(asked(number))
    await call.done_writing()
    assert await replies(call) == ["first 1", "2", "3"]
    assert await call.code() is CODE.OK
    assert world.echo.seen == ["2", "3", "half-closed"]


async def test_what_comes_while_it_begins_waits(world: World) -> None:
    world.echo.gate.clear()
    call = world.call()
    for number in range(100):
        await call.write(asked(number))
    await call.done_writing()
    assert not world.echo.seen
    world.echo.gate.set()
    assert await replies(call) == ["first 0", *map(str, range(1, 100))]


async def test_a_client_that_says_nothing_has_no_first_message(world: World) -> None:
    call = world.call()
    await call.done_writing()
    assert await replies(call) == ["first None"]


async def test_who_calls_is_told_by_the_proxy(world: World) -> None:
    call = world.call(
        ("x-octelium-session-uid", "u"),
        ("x-octelium-session-ref", '{"kind": "Session", "uid": "u"}'),
        ("x-octelium-client-address", "192.0.2.1"),
        ("x-twice", "a"),
        ("x-twice", "b"),
        ("x-some-bin", b"\x01"),
    )
    await call.done_writing()
    await replies(call)
    (made,) = world.echo.calls
    assert (made.path, made.operation) == ("/test.Service/Last", "test.Service/Last")
    assert (made.session_uid, made.client_address) == ("u", "192.0.2.1")
    assert made.session_ref is not None
    assert made.session_ref.kind == "Session"
    assert made.user_agent.startswith("grpc-python")
    assert made.metadata["x-twice"] == "b"
    assert "x-some-bin" not in made.metadata


async def test_an_unreadable_reference_is_no_caller(world: World) -> None:
    call = world.call(("x-octelium-session-uid", "u"), ("x-octelium-session-ref", "{"))
    await call.done_writing()
    await replies(call)
    assert (world.echo.calls[0].session_uid, world.echo.calls[0].session_ref) == ("", None)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (PermissionDenied("not you"), CODE.PERMISSION_DENIED, "not you"),
        (NotFound("50 % of grün\n"), CODE.NOT_FOUND, "50 % of grün\n"),
        (Invalid("field", "wrong"), CODE.INVALID_ARGUMENT, "field: wrong"),
        (ValueError("secret"), CODE.INTERNAL, "Internal error"),
    ],
)
async def test_what_the_method_raises_is_the_status(
    world: World, error: Exception, code: grpc.StatusCode, text: str
) -> None:
    world.echo.error = error
    call = world.call()
    assert await call.code() is code
    assert await call.details() == text
    trailers = dict(await call.trailing_metadata())
    assert (trailers["x-note"], trailers["x-note-bin"]) == ("a", b"\x00\xff")


async def test_what_fails_later_is_the_status_behind_the_replies(world: World) -> None:
    world.echo.broken = PermissionDenied("enough")
    call = world.call()
    await call.write(asked(1))
    assert (await call.read()).message.message == "first 1"
    await call.write(asked(2))
    assert await call.code() is CODE.PERMISSION_DENIED
    assert world.echo.seen == ["2", "failed"]


async def test_a_long_text_is_cut(world: World) -> None:
    world.echo.error = PermissionDenied("x" * 100_000)
    call = world.call()
    assert await call.code() is CODE.PERMISSION_DENIED
    assert await call.details() == "x" * 3000


@pytest.mark.parametrize("begun", [False, True])
async def test_a_client_that_cancels_is_gone(world: World, begun: bool) -> None:
    call = world.call()
    if begun:
        await call.write(asked())
        await call.read()
    else:
        async with asyncio.timeout(PATIENCE):
            while not world.echo.calls:
                await asyncio.sleep(0)
    call.cancel()
    async with asyncio.timeout(PATIENCE):
        await (world.echo.gone if begun else world.echo.cancelled).wait()
    client = world.echo.clients[0]
    client.send(b"late")
    client.end(ValueError("late"))
    client.reset()
    assert not client.is_behind


@pytest.mark.parametrize("begun", [False, True])
async def test_a_deadline_ends_the_call(world: World, begun: bool) -> None:
    fields = ((b"content-type", b"application/grpc"), (b"grpc-timeout", b"200m"))
    client = world.raw(prefixed(asked().SerializeToString()) if begun else b"", fields=fields)
    await client.end()
    assert client.code == CODE.DEADLINE_EXCEEDED.value[0]
    assert world.echo.seen == (["failed"] if begun else [])
    assert begun is bool(client.body)


async def test_a_message_that_is_none_is_refused(world: World) -> None:
    client = world.raw(prefixed(b"\xff\xff\xff"))
    await client.end()
    assert client.code == CODE.INVALID_ARGUMENT.value[0]
    assert b"ConnectRequest" in client.fields[b"grpc-message"]


@pytest.mark.parametrize("begun", [False, True])
async def test_a_message_that_is_too_large_is_refused_by_its_length(
    world: World, begun: bool
) -> None:
    client = world.raw(prefixed(asked().SerializeToString()) if begun else b"")
    if begun:
        await client.answered.wait()
    assert client.stream is not None
    client.stream.send_data(b"\0" + (LIMIT + 1).to_bytes(4))
    await client.end()
    assert client.code == CODE.RESOURCE_EXHAUSTED.value[0]
    assert client.fields[b"grpc-message"] == b"the request has 1001 bytes; 1000 are allowed"


@pytest.mark.parametrize("begun", [False, True])
async def test_a_message_that_stays_half_is_refused(world: World, begun: bool) -> None:
    world.method.message_seconds = 0.05
    half = prefixed(asked().SerializeToString())[:6]
    client = world.raw(half if not begun else prefixed(asked().SerializeToString()) + half)
    await client.end()
    assert client.code == CODE.DEADLINE_EXCEEDED.value[0]
    assert client.fields[b"grpc-message"] == b"a message was not complete 0.05 s after it began"
    assert world.echo.seen == (["failed"] if begun else [])
    assert begun is bool(client.body)
    assert world.server.kept == 0


async def test_a_wait_for_the_beginning_does_not_count(world: World) -> None:
    """What has begun behind the first message cannot go on before that."""
    world.method.message_seconds = 0.01
    world.echo.gate.clear()
    half = prefixed(asked(2).SerializeToString())
    client = world.raw(prefixed(asked(1).SerializeToString()) + half[:6])
    async with asyncio.timeout(PATIENCE):
        while not world.echo.clients or not world.server.kept:
            await asyncio.sleep(0)
    (call,) = world.echo.clients
    assert timer_of(call) is None
    assert client.stream is not None
    world.method.message_seconds = PATIENCE
    world.echo.gate.set()
    client.stream.send_data(half[6:])
    client.stream.send_end()
    await client.end()
    assert client.code == 0
    assert world.echo.seen == ["2", "half-closed"]
    assert world.server.kept == 0


async def test_a_message_in_time_leaves_nothing_behind(world: World) -> None:
    client = world.raw(prefixed(asked(1).SerializeToString()))
    await client.answered.wait()
    (call,) = world.echo.clients
    assert world.server.kept == 0
    assert client.stream is not None
    message = prefixed(asked(2).SerializeToString())
    client.stream.send_data(message[:6])
    async with asyncio.timeout(PATIENCE):
        while world.server.kept != 6:
            await asyncio.sleep(0)
    timer = timer_of(call)
    assert timer is not None
    client.stream.send_data(message[6:] + message[:7])
    async with asyncio.timeout(PATIENCE):
        while world.server.kept != 7:
            await asyncio.sleep(0)
    assert timer.cancelled()
    assert timer_of(call) is not None  # the next message has its own time
    client.stream.send_data(message[7:])
    async with asyncio.timeout(PATIENCE):
        while world.server.kept:
            await asyncio.sleep(0)
    assert timer_of(call) is None
    assert world.echo.seen == ["2", "2"]
    client.stream.reset()


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("kind", ["empty messages", "pieces of one byte"])
async def test_a_client_that_says_too_much_is_ended(
    world: World, begun: bool, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ration, "RATE", 0.0)  # however long it takes
    client = world.raw(prefixed(asked().SerializeToString()) if begun else b"")
    if begun:
        await client.answered.wait()
    assert client.stream is not None
    if kind == "empty messages":
        client.stream.send_data(prefixed(b"") * 3000)
    else:
        for byte in prefixed(bytes(LIMIT)):
            client.stream.send_data(bytes([byte]))
            await asyncio.sleep(0)
    await client.end()
    assert client.code == CODE.RESOURCE_EXHAUSTED.value[0]
    assert b"too many messages" in client.fields[b"grpc-message"]
    assert len(world.echo.seen) <= BURST + 1
    assert world.server.kept == 0


async def test_one_session_keeps_no_more_than_its_share(world: World) -> None:
    """Its oldest half goes; those of others stay."""
    world.method.max_request_bytes = MOST_KEPT_EACH
    prefix = b"\0" + MOST_KEPT_EACH.to_bytes(4)

    async def half(session: bytes, size: int) -> Raw:
        before = world.server.kept
        fields = ((b"content-type", b"application/grpc"), (b"x-octelium-session-uid", session))
        client = world.raw(prefix, fields=fields)
        assert client.stream is not None
        client.stream.send_data(bytes(size - len(prefix)))
        async with asyncio.timeout(PATIENCE):
            while world.server.kept < before + size and not client.over.is_set():
                await asyncio.sleep(0)
        return client

    other = await half(b"other", 1000)
    first = await half(b"one", 100_000)
    second = await half(b"one", MOST_KEPT_EACH - 100_000)
    assert not first.over.is_set()
    assert second.stream is not None
    second.stream.send_data(b"x")
    await first.end()
    assert first.code == CODE.RESOURCE_EXHAUSTED.value[0]
    assert not second.over.is_set()
    assert not other.over.is_set()
    async with asyncio.timeout(PATIENCE):
        while world.server.kept != MOST_KEPT_EACH - 100_000 + 1 + 1000:
            await asyncio.sleep(0)
    for client in (second, other):
        assert client.stream is not None
        client.stream.reset()
    async with asyncio.timeout(PATIENCE):
        while world.server.kept:
            await asyncio.sleep(0)


async def test_compressed_messages_are_refused(world: World) -> None:
    client = world.raw(prefixed(b"x", flag=1))
    await client.end()
    assert client.code == CODE.UNIMPLEMENTED.value[0]


async def test_an_end_within_a_message_is_refused(world: World) -> None:
    client = world.raw(prefixed(b"12345678")[:7], end=True)
    await client.end()
    assert client.code == CODE.INVALID_ARGUMENT.value[0]


async def test_a_call_that_is_reset_loses_what_was_not_taken(world: World) -> None:
    client = world.raw(prefixed(asked().SerializeToString()))
    await client.answered.wait()
    (call,) = world.echo.clients
    assert client.stream is not None
    client.stream.pause_receiving()
    async with asyncio.timeout(PATIENCE):
        while not call.is_behind:
            call.send(bytes(100_000))
            await asyncio.sleep(0)
    call.reset()
    call.reset()
    await client.end()
    assert "reset" in client.error
    assert world.echo.seen == []


async def test_an_idle_call_is_small(world: World) -> None:
    """It keeps neither the request nor a task."""
    call = world.call(("x-long", "x" * 1000))
    await call.write(asked())
    await call.read()
    (client,) = world.echo.clients
    stream = client._stream
    assert stream is not None
    assert stream.head.block.fields == ()
    assert client._beginning is None
    assert client._timer is None
    assert not hasattr(client, "__dict__")
    assert sys.getsizeof(client) + sys.getsizeof(stream) < 600
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "/test.Service/Last"]
    call.cancel()
