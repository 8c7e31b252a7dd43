"""The gRPC server of the API rooms: plain async methods in, statuses out.

It listens on a Unix socket and speaks plaintext HTTP/2: its only client is the Cluster's own proxy,
which authenticates and decides every call first and removes what clients claim about themselves. So
the `x-octelium-*` metadata read here is trusted.
"""

from __future__ import annotations

import logging
import os
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from google.protobuf import message_factory
from google.protobuf.message import DecodeError, Message

from octelium.apiserver.rpc import (
    INTERNAL_ERROR,
    MAX_STATUS_TEXT,
    ApiError,
    Binding,
    Call,
    Limits,
    Publish,
    call_of,
    method_name,
    method_path,
    status_of,
)
from octelium.apiserver.waiting import Waiting
from octelium.http.callers import caller_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from google.protobuf.descriptor import MethodDescriptor

_LOG = logging.getLogger(__name__)


class ApiServer:
    """A gRPC server of the control process."""

    def __init__(
        self, bindings: Sequence[Binding], *, publish: Publish, limits: Limits | None = None
    ) -> None:
        limits = limits or Limits()
        self._server = grpc.aio.server(
            options=limits.options(), maximum_concurrent_rpcs=limits.calls + limits.lasting
        )
        shared = _Shared(
            publish,
            Waiting(limits.waiting, limits.seconds),
            _Places(limits.calls),
            _Places(limits.lasting),
        )
        self._server.add_generic_rpc_handlers(
            tuple(_generic_handler(binding, shared) for binding in bindings)
        )

    def listen(self, path: Path) -> None:
        """Make the Unix socket `path`, which only this system user can open.

        gRPC cannot take over a listening descriptor in Python, so this is a path; a socket that a
        killed process left there is replaced.

        Raises:
            OSError: The socket cannot be made.
        """
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._server.add_insecure_port(f"unix:{path}")
        except RuntimeError as error:
            raise OSError(f"{path}: the API server cannot listen there: {error}") from error
        finally:
            os.umask(mask)

    async def start(self) -> None:
        """Serve, after `listen`."""
        await self._server.start()

    async def stop(self, grace: float) -> None:
        """Take no new calls, give those that run `grace` seconds, then cancel them."""
        await self._server.stop(grace)


class _Places:
    """How many calls of one sort there may be at a time."""

    def __init__(self, most: int) -> None:
        self._free = most

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for as long as the block runs.

        Raises:
            ApiError: RESOURCE_EXHAUSTED, which clients take as a request to try again.
        """
        if self._free <= 0:
            raise ApiError(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls: try again later")
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all calls of a server have in common."""

    publish: Publish
    waiting: Waiting
    calls: _Places
    lasting: _Places


def _generic_handler(binding: Binding, shared: _Shared) -> grpc.GenericRpcHandler:
    handlers = {
        method.name: _method_handler(binding, method, shared)
        for method in binding.descriptor.methods
    }
    return grpc.method_handlers_generic_handler(binding.descriptor.full_name, handlers)


def _find(implementation: object, name: str) -> Callable[..., Any] | None:
    if isinstance(implementation, dict):
        found = implementation.get(name)
    else:
        found = getattr(implementation, name, None)
    return found if callable(found) else None


async def _unimplemented(_request: object, call: Call) -> Message:
    raise ApiError(grpc.StatusCode.UNIMPLEMENTED, f"{call.operation} is not implemented")


async def _unimplemented_stream(_request: object, call: Call) -> AsyncIterator[Message]:
    replies: list[Message] = []
    for reply in replies:  # makes this an asynchronous generator
        yield reply
    raise ApiError(grpc.StatusCode.UNIMPLEMENTED, f"{call.operation} is not implemented")


def _method_handler(
    binding: Binding, method: MethodDescriptor, shared: _Shared
) -> grpc.RpcMethodHandler[bytes, bytes]:
    function = _find(binding.implementation, method_name(method.name))
    server_streaming = bool(method.server_streaming)
    runner = _Runner(
        path=method_path(method),
        function=function or (_unimplemented_stream if server_streaming else _unimplemented),
        request_class=message_factory.GetMessageClass(method.input_type),
        max_request_bytes=binding.max_request_bytes,
        publish=shared.publish,
        waiting=shared.waiting,
        places=shared.lasting if method.name in binding.lasting else shared.calls,
    )
    # Requests and replies pass as bytes, so that a bad one gets a status of ours. A single request
    # is read as a stream of one, the same on the wire: gRPC would wait for it without end before
    # it called us.
    match bool(method.client_streaming), server_streaming:
        case False, False:
            return grpc.stream_unary_rpc_method_handler(runner.unary_unary)
        case False, True:
            return grpc.stream_stream_rpc_method_handler(runner.unary_stream)
        case True, False:
            return grpc.stream_unary_rpc_method_handler(runner.stream_unary)
        case _:
            return grpc.stream_stream_rpc_method_handler(runner.stream_stream)


Context = grpc.aio.ServicerContext[bytes, bytes]


@dataclass(frozen=True, slots=True)
class _Runner:
    """Runs one RPC's method in each of the four call shapes."""

    path: str
    function: Callable[..., Any]
    request_class: type[Message]
    max_request_bytes: int
    publish: Publish
    waiting: Waiting
    places: _Places

    async def unary_unary(self, _items: object, context: Context) -> bytes:
        call = _call(self.path, context)
        try:
            with self.places.place():
                reply = await self.function(await self._receive(call, context), call)
                await self.publish()
        except Exception as error:  # noqa: BLE001 - every failure becomes a status
            return await self._fail(error, call, context)
        await _send_header(call, context)
        return _serialized(reply)

    async def unary_stream(self, _items: object, context: Context) -> AsyncIterator[bytes]:
        call = _call(self.path, context)
        try:
            request = await self._receive(call, context)
        except ApiError as error:
            await self._fail(error, call, context)
            return
        async for item in self._stream(request, call, context):
            yield item

    async def stream_unary(self, items: AsyncIterator[bytes], context: Context) -> bytes:
        call = _call(self.path, context)
        try:
            with self.places.place():
                reply = await self.function(self._parse_all(items), call)
                await self.publish()
        except Exception as error:  # noqa: BLE001 - every failure becomes a status
            return await self._fail(error, call, context)
        await _send_header(call, context)
        return _serialized(reply)

    async def stream_stream(
        self, items: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        call = _call(self.path, context)
        async for item in self._stream(self._parse_all(items), call, context):
            yield item

    async def _stream(self, request: object, call: Call, context: Context) -> AsyncIterator[bytes]:
        opened = False
        try:
            with self.places.place():
                async with aclosing(self.function(request, call)) as replies:
                    async for reply in replies:
                        await self.publish()
                        if not opened:
                            opened = True
                            await _send_header(call, context)
                        data = _serialized(reply)
                        del reply  # it may be long until the next
                        yield data
                        del data
        except Exception as error:  # noqa: BLE001 - every failure becomes a status
            await self._fail(error, call, context, opened=opened)

    async def _receive(self, call: Call, context: Context) -> Message:
        """The one request of a call."""
        try:
            async with self.waiting.place(call.session_uid or caller_of(call.client_address)):
                data = await context.read()
        except TimeoutError as error:
            raise ApiError(
                grpc.StatusCode.DEADLINE_EXCEEDED, "the request did not arrive in time"
            ) from error
        if not isinstance(data, bytes):  # grpc.aio.EOF
            raise ApiError(grpc.StatusCode.INVALID_ARGUMENT, "the call ended without a request")
        return self._parse(data)

    def _parse(self, data: bytes) -> Message:
        if len(data) > self.max_request_bytes:
            # RESOURCE_EXHAUSTED would make the official clients send it again.
            raise ApiError(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"the request has {len(data)} bytes; {self.max_request_bytes} are allowed",
            )
        try:
            return self.request_class.FromString(data)
        except DecodeError as error:
            raise ApiError(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"the request is not a {self.request_class.DESCRIPTOR.full_name} message",
            ) from error

    async def _parse_all(self, items: AsyncIterator[bytes]) -> AsyncIterator[Message]:
        async for data in items:
            yield self._parse(data)

    async def _fail(
        self, error: Exception, call: Call, context: Context, *, opened: bool = False
    ) -> bytes:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        code, text = status_of(error)
        if code is grpc.StatusCode.INTERNAL:
            _LOG.error("%s failed", call.operation, exc_info=error)
        # A refused call may have committed something too, such as a counted attempt.
        try:
            await self.publish()
        except Exception:  # noqa: BLE001 - logged, and the caller learns that it failed
            _LOG.exception("%s: the committed revision could not be published", call.operation)
            code, text = grpc.StatusCode.INTERNAL, INTERNAL_ERROR
        if call.set_cookies and not opened:
            await _send_header(call, context)
        await context.abort(code, text[:MAX_STATUS_TEXT], tuple(call.trailers))
        raise AssertionError("abort() raises")


def _serialized(reply: Message | bytes) -> bytes:
    """A reply on the wire; what goes to many callers is encoded already."""
    return reply if isinstance(reply, bytes) else reply.SerializeToString()


async def _send_header(call: Call, context: Context) -> None:
    if call.set_cookies:
        await context.send_initial_metadata(
            tuple(("set-cookie", cookie) for cookie in call.set_cookies)
        )
    if call.trailers:
        context.set_trailing_metadata(tuple(call.trailers))


def _call(path: str, context: Context) -> Call:
    metadata = context.invocation_metadata() or ()
    return call_of(path, {name: value for name, value in metadata if isinstance(value, str)})
