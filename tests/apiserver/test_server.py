"""The gRPC face, over a real channel to a Unix socket."""

from __future__ import annotations

import asyncio
import logging
import stat
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from octelium.apiserver.rpc import ApiError, Binding, Call, Limits, status_of
from octelium.apiserver.server import ApiServer
from octelium.http.tasks import spawn
from octelium.identity.errors import RefusedError, TooEarlyError, UnauthenticatedError
from octelium.schema.errors import DocumentError, Invalid, InvalidDocuments
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user
from octelium.store.errors import (
    AlreadyExists,
    NotFound,
    PermissionDenied,
    ResourceChanged,
    StoreError,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CORE = core.DESCRIPTOR.services_by_name["MainService"]
EXT = ext.DESCRIPTOR.services_by_name["MainService"]
USER = user.DESCRIPTOR.services_by_name["MainService"]


class Published:
    """Counts publications; can fail."""

    def __init__(self) -> None:
        self.times = 0
        self.error: Exception | None = None

    async def __call__(self) -> None:
        self.times += 1
        if self.error is not None:
            raise self.error


class CoreDouble:
    """One method per behaviour that the server must show."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.error: Exception | None = None
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def create_user(self, request: core.User, call: Call) -> core.User:
        self.calls.append(call)
        self.entered.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        request.metadata.uid = "u"
        return request

    async def get_user(self, request: meta.GetOptions, call: Call) -> core.User:
        call.set_cookies.append("octelium_rt=; Max-Age=0")
        call.trailers.append(("octelium-note-bin", b"\x00\x01"))
        if request.name == "nobody":
            raise NotFound("no such User")
        return core.User()


class ExtDouble:
    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def watch_access_log(
        self, request: ext.ListAccessLogRequest, call: Call
    ) -> AsyncIterator[ext.ListAccessLogResponse]:
        try:
            for number in range(2):
                yield ext.ListAccessLogResponse(has_more=bool(number))
            if request.id == "bad":
                raise Invalid("id", "no such entry")
            if request.id == "forever":
                await asyncio.Event().wait()
        finally:
            self.closed.set()


class UserDouble:
    async def connect(
        self, requests: AsyncIterator[user.ConnectRequest], call: Call
    ) -> AsyncIterator[user.ConnectResponse]:
        async for _request in requests:
            yield user.ConnectResponse()


class Peer:
    """A client of the server under test."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel

    def unary(self, path: str, reply: type[Any] = core.User) -> Any:
        return self.channel.unary_unary(
            path,
            request_serializer=lambda message: (
                message if isinstance(message, bytes) else message.SerializeToString()
            ),
            response_deserializer=reply.FromString,
        )

    def core(self, method: str, reply: type[Any] = core.User) -> Any:
        return self.unary(f"/octelium.api.main.core.v1.MainService/{method}", reply)


class Running:
    def __init__(self, path: Path) -> None:
        self.core = CoreDouble()
        self.ext = ExtDouble()
        self.published = Published()
        self.path = path
        self.server = ApiServer(
            [
                Binding(CORE, self.core, max_request_bytes=1000),
                Binding(EXT, {"watch_access_log": self.ext.watch_access_log}),
                Binding(USER, UserDouble()),
            ],
            publish=self.published,
        )


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    running = Running(tmp_path / "api.sock")
    running.server.listen(running.path)
    await running.server.start()
    yield running
    await running.server.stop(0)


@pytest.fixture
async def peer(running: Running) -> AsyncIterator[Peer]:
    async with grpc.aio.insecure_channel(f"unix:{running.path}") as channel:
        yield Peer(channel)


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_a_message_goes_in_and_comes_out(peer: Peer, running: Running) -> None:
    reply = await peer.core("CreateUser")(core.User(metadata=meta.Metadata(name="alice")))
    assert (reply.metadata.name, reply.metadata.uid) == ("alice", "u")
    assert running.published.times == 1


async def test_the_call_carries_what_the_proxy_vouches_for(peer: Peer, running: Running) -> None:
    await peer.core("CreateUser")(
        core.User(),
        metadata=(
            ("x-octelium-session-uid", "s-1"),
            ("x-octelium-session-ref", '{"apiVersion":"core/v1","kind":"Session","uid":"s-1"}'),
            ("x-octelium-req-path", "/a/b"),
            ("x-octelium-origin", "https://example.com"),
            ("x-octelium-client-address", "192.0.2.1"),
            ("x-octelium-refresh-token", "rt"),
            ("cookie", "octelium_rt=x"),
        ),
    )
    call = running.core.calls[0]
    assert call.session_uid == "s-1"
    assert call.session_ref == meta.ObjectReference(
        api_version="core/v1", kind="Session", uid="s-1"
    )
    assert call.operation == "octelium.api.main.core.v1.MainService/CreateUser"
    assert call.request_path == "/a/b"
    assert call.origin == "https://example.com"
    assert call.client_address == "192.0.2.1"
    assert call.refresh_token == "rt"
    assert call.metadata["cookie"] == "octelium_rt=x"
    assert call.user_agent.startswith("grpc-python")
    assert call.require_session() == "s-1"


async def test_an_unreadable_reference_leaves_no_caller(
    peer: Peer, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    await peer.core("CreateUser")(
        core.User(),
        metadata=(("x-octelium-session-uid", "s-1"), ("x-octelium-session-ref", "{")),
    )
    call = running.core.calls[0]
    assert (call.session_uid, call.session_ref) == ("", None)
    with pytest.raises(ApiError) as caught:
        call.require_session()
    assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED
    assert "unreadable reference" in caplog.text


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (Invalid("spec.port", "0 is no port"), "INVALID_ARGUMENT", "spec.port: 0 is no port"),
        (
            InvalidDocuments([DocumentError("a.yaml", 1, 2, "kind", "missing")]),
            "INVALID_ARGUMENT",
            "a.yaml:2 (document 1): kind: missing",
        ),
        (NotFound("gone"), "NOT_FOUND", "gone"),
        (AlreadyExists("there"), "ALREADY_EXISTS", "there"),
        (ResourceChanged("moved"), "OUT_OF_RANGE", "moved"),
        (PermissionDenied("no"), "PERMISSION_DENIED", "no"),
        (Unavailable("disk full"), "UNAVAILABLE", "disk full"),
        (UnauthenticatedError("bad signature"), "UNAUTHENTICATED", "Unauthenticated User"),
        (RefusedError("disabled"), "PERMISSION_DENIED", "disabled"),
        (TooEarlyError("early"), "ALREADY_EXISTS", "early"),
        (
            ApiError(grpc.StatusCode.FAILED_PRECONDITION, "first that"),
            "FAILED_PRECONDITION",
            "first that",
        ),
        (StoreError("page 7 is torn"), "INTERNAL", "Internal error"),
        (RuntimeError("a secret detail"), "INTERNAL", "Internal error"),
    ],
)
async def test_failures_become_statuses(
    peer: Peer, running: Running, error: Exception, code: str, text: str
) -> None:
    assert status_of(error) == (grpc.StatusCode[code], text)
    running.core.error = error
    seen = await refused(peer.core("CreateUser")(core.User()))
    assert (seen.code().name, seen.details()) == (code, text)
    assert running.published.times == 1


async def test_the_unexpected_is_logged_with_its_traceback(
    peer: Peer, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.core.error = RuntimeError("a secret detail")
    with caplog.at_level(logging.ERROR):
        await refused(peer.core("CreateUser")(core.User()))
    assert "MainService/CreateUser failed" in caplog.text
    assert "a secret detail" in caplog.text


async def test_no_success_without_publication(
    peer: Peer, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.published.error = OSError("shared memory is gone")
    seen = await refused(peer.core("CreateUser")(core.User()))
    assert (seen.code(), seen.details()) == (grpc.StatusCode.INTERNAL, "Internal error")
    assert "shared memory is gone" in caplog.text


async def test_a_long_status_is_cut(peer: Peer, running: Running) -> None:
    running.core.error = Invalid("", "x" * 100_000)
    seen = await refused(peer.core("CreateUser")(core.User()))
    assert seen.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert 1000 < len(seen.details() or "") <= 3000


async def test_every_method_of_a_service_answers(peer: Peer) -> None:
    for method in CORE.methods:
        if method.name in {"CreateUser", "GetUser"}:
            continue
        seen = await refused(peer.core(method.name)(b""))
        assert seen.code() is grpc.StatusCode.UNIMPLEMENTED
        assert method.name in (seen.details() or "")


async def test_unknown_methods_and_services_are_unimplemented(peer: Peer) -> None:
    for path in ("/octelium.api.main.core.v1.MainService/Nope", "/a.B/C"):
        assert (await refused(peer.unary(path)(b""))).code() is grpc.StatusCode.UNIMPLEMENTED


async def test_garbage_and_oversize_are_invalid(peer: Peer, running: Running) -> None:
    seen = await refused(peer.core("CreateUser")(b"\xff\xff\xff"))
    assert seen.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "octelium.api.main.core.v1.User" in (seen.details() or "")
    seen = await refused(peer.core("CreateUser")(b"\x00" * 1001))
    assert seen.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "1001 bytes; 1000 are allowed" in (seen.details() or "")
    assert running.core.calls == []


@pytest.mark.parametrize("name", ["alice", "nobody"])
async def test_cookies_and_trailers_leave_with_the_reply(peer: Peer, name: str) -> None:
    call = peer.core("GetUser")(meta.GetOptions(name=name))
    if name == "nobody":
        await refused(call)
    else:
        await call
    assert ("set-cookie", "octelium_rt=; Max-Age=0") in list(await call.initial_metadata())
    assert ("octelium-note-bin", b"\x00\x01") in list(await call.trailing_metadata())


def watch(peer: Peer, wanted: str) -> Any:
    return peer.channel.unary_stream(
        "/octelium.ext.v1.MainService/WatchAccessLog",
        request_serializer=ext.ListAccessLogRequest.SerializeToString,
        response_deserializer=ext.ListAccessLogResponse.FromString,
    )(ext.ListAccessLogRequest(id=wanted))


async def test_a_stream_ends_or_fails_after_its_items(peer: Peer, running: Running) -> None:
    assert [item.has_more async for item in watch(peer, "")] == [False, True]
    failing = watch(peer, "bad")
    assert [(await failing.read()).has_more for _ in range(2)] == [False, True]
    seen = await refused(failing.read())
    assert seen.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_cancelled_stream_is_closed_on_the_server(peer: Peer, running: Running) -> None:
    stream = watch(peer, "forever")
    await stream.read()
    stream.cancel()
    await asyncio.wait_for(running.ext.closed.wait(), PATIENCE)


async def test_both_sides_may_stream(peer: Peer) -> None:
    stream = peer.channel.stream_stream(
        "/octelium.api.main.user.v1.MainService/Connect",
        request_serializer=user.ConnectRequest.SerializeToString,
        response_deserializer=user.ConnectResponse.FromString,
    )()
    for _ in range(2):
        await stream.write(user.ConnectRequest())
        assert await stream.read() == user.ConnectResponse()
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF


CREATE = "/octelium.api.main.core.v1.MainService/CreateUser"
TIGHT = Limits(calls=8, waiting=4, seconds=3600.0, message_bytes=2000)
PATIENCE = 60.0


@asynccontextmanager
async def tight(directory: Path, limits: Limits) -> AsyncIterator[tuple[Peer, CoreDouble]]:
    core_double = CoreDouble()
    binding = Binding(CORE, core_double, max_request_bytes=1000)
    server = ApiServer([binding], publish=Published(), limits=limits)
    server.listen(directory / "tight.sock")
    await server.start()
    async with grpc.aio.insecure_channel(f"unix:{directory / 'tight.sock'}") as channel:
        yield Peer(channel), core_double
    await server.stop(0)


def silent(peer: Peer, session: str = "") -> Any:
    """A call that opens and sends nothing."""
    metadata = (("x-octelium-session-uid", session),) if session else ()
    return peer.channel.stream_unary(CREATE)(metadata=metadata)


async def test_lasting_calls_take_no_places_from_others(tmp_path: Path) -> None:
    """And the other way round."""
    entered = asyncio.Semaphore(0)
    finish = asyncio.Event()

    class Double:
        async def connect(self, _requests: Any, _call: Call) -> AsyncIterator[Any]:
            entered.release()
            await finish.wait()
            yield user.ConnectResponse()

        async def get_status(self, _request: Any, _call: Call) -> Any:
            entered.release()
            await finish.wait()
            return user.GetStatusResponse()

    service = user.DESCRIPTOR.services_by_name["MainService"]
    binding = Binding(service, Double(), lasting=frozenset({"Connect"}))
    server = ApiServer([binding], publish=Published(), limits=Limits(calls=2, lasting=3))
    server.listen(tmp_path / "api.sock")
    await server.start()
    async with grpc.aio.insecure_channel(f"unix:{tmp_path / 'api.sock'}") as channel:
        connect: Any = channel.stream_stream(f"/{service.full_name}/Connect")
        status: Any = channel.unary_unary(f"/{service.full_name}/GetStatus")
        streams, calls = [connect()], [status(b""), status(b"")]
        async with asyncio.timeout(PATIENCE):
            for _ in range(3):
                await entered.acquire()
            assert await status(b"").code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            streams += [connect(), connect()]
            for _ in range(2):
                await entered.acquire()
            finish.set()
            assert [await call for call in calls] == [b"", b""]
            for stream in streams:
                assert [message async for message in stream] == [b""]
            assert await status(b"") == b""
            finish.clear()
            streams = [connect() for _ in range(4)]
            done, _ = await asyncio.wait(
                [spawn(stream.code(), name="a stream") for stream in streams],
                return_when=asyncio.FIRST_COMPLETED,
            )
            assert [task.result() for task in done] == [grpc.StatusCode.RESOURCE_EXHAUSTED]
            for stream in streams:
                stream.cancel()
    await server.stop(0)


async def test_a_silent_call_is_ended(tmp_path: Path) -> None:
    limits = replace(TIGHT, seconds=0.2)
    async with tight(tmp_path, limits) as (peer, core_double):
        seen = await refused(silent(peer))
        assert (seen.code().name, seen.details()) == (
            "DEADLINE_EXCEEDED",
            "the request did not arrive in time",
        )
        assert core_double.calls == []


async def test_a_call_without_a_request_is_invalid(peer: Peer, running: Running) -> None:
    call: Any = peer.channel.stream_unary(CREATE)()
    await call.done_writing()
    seen = await refused(call)
    assert (seen.code().name, seen.details()) == (
        "INVALID_ARGUMENT",
        "the call ended without a request",
    )
    assert running.core.calls == []


async def test_silent_calls_keep_nobody_out(tmp_path: Path) -> None:
    """Ten times as many as may wait, whoever makes them; those that speak are served."""
    async with tight(tmp_path, replace(TIGHT, calls=100)) as (peer, _):
        calls: list[Any] = []
        for number in range(40):
            calls.append(silent(peer, session=f"s-{number}"))
            await calls[-1].wait_for_connection()
            reply = await peer.core("CreateUser")(core.User(), timeout=PATIENCE)
            assert reply.metadata.uid == "u"
        async with asyncio.timeout(PATIENCE):
            while sum(call.done() for call in calls) < len(calls) - TIGHT.waiting:
                await asyncio.sleep(0.001)
        for call in calls:
            call.cancel()


async def test_a_caller_who_hangs_up_before_the_request_is_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with tight(tmp_path, Limits()) as (peer, core_double):
        call: Any = silent(peer)
        await call.wait_for_connection()
        await peer.core("CreateUser")(core.User())
        call.cancel()
        await peer.core("CreateUser")(core.User())
        assert len(core_double.calls) == 2
    rooms = ("octelium", "grpc")  # not asyncio: gRPC's poller remembers the loops of other tests
    assert not [one for one in caplog.records if one.name.startswith(rooms) and one.levelno > 30]


@pytest.mark.parametrize("size", [100, 50 << 20])
async def test_compressed_requests_are_refused_unread(tmp_path: Path, size: int) -> None:
    async with tight(tmp_path, Limits()) as (peer, core_double):
        request = core.User()
        request.metadata.description = "x" * size
        call = peer.core("CreateUser")(request, compression=grpc.Compression.Gzip)
        assert (await refused(call)).code() is grpc.StatusCode.UNIMPLEMENTED
        assert core_double.calls == []


COMPRESSED = """
import asyncio, sys
from pathlib import Path
from octelium.apiserver.server import ApiServer
import grpc.aio

async def main():
    server = ApiServer([], publish=None)
    server.listen(Path(sys.argv[1]))
    await server.start()
    async with grpc.aio.insecure_channel("unix:" + sys.argv[1]) as channel:
        try:
            await channel.unary_unary("/a.B/C")(b"x" * 100, compression=grpc.Compression.Gzip)
        except grpc.aio.AioRpcError as error:
            print(error.code().name)
    await server.stop(0)

asyncio.run(main())
"""


async def test_refusals_of_grpc_itself_fill_no_log(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMPRESSED, str(tmp_path / "api.sock")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert await process.communicate() == (b"UNIMPLEMENTED\n", b"")


async def test_what_gets_a_status_of_ours_is_not_to_be_sent_again(tmp_path: Path) -> None:
    """RESOURCE_EXHAUSTED comes only beyond what any client means to send."""
    async with tight(tmp_path, TIGHT) as (peer, _):
        for size, code in ((1001, "INVALID_ARGUMENT"), (2001, "RESOURCE_EXHAUSTED")):
            assert (await refused(peer.core("CreateUser")(b"\x00" * size))).code().name == code


async def test_the_socket_is_private_and_replaces_a_stale_one(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    path.touch(mode=0o644)
    server = ApiServer([], publish=Published())
    server.listen(path)
    await server.start()
    mode = path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    await server.stop(0)


async def test_a_socket_that_cannot_be_made_says_where(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "api.sock"
    with pytest.raises(OSError, match="cannot listen there"):
        ApiServer([], publish=Published()).listen(path)


async def test_stopping_lets_calls_finish(peer: Peer, running: Running) -> None:
    running.core.gate.clear()
    call = peer.core("CreateUser")(core.User())
    await running.core.entered.wait()
    stopping = asyncio.gather(running.server.stop(PATIENCE), call)
    running.core.gate.set()
    _, reply = await stopping
    assert reply.metadata.uid == "u"
