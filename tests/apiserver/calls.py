"""One gRPC service on a Unix socket, and calls to it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc.aio
from google.protobuf.json_format import MessageToJson
from google.protobuf.message_factory import GetMessageClass

from octelium.apiserver.cookies import BrowserPages
from octelium.apiserver.lasting.server import LastingServer
from octelium.apiserver.server import ApiServer
from octelium.store.metadata import reference

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from pathlib import Path

    from octelium.apiserver.lasting.call import Method
    from octelium.apiserver.rpc import Binding, Limits
    from octelium.schema.pb import core_v1_pb2 as core


AUTHORITY = [("grpc.default_authority", "localhost")]
"""gRPC would name the socket's path, which is no host."""
PAGES = BrowserPages("example.com", "https://example.com", "https://portal.example.com")


class Calls:
    """Calls the methods of one service by their names."""

    def __init__(
        self, channel: grpc.aio.Channel, binding: Binding, lasting: grpc.aio.Channel
    ) -> None:
        self._channel = channel
        self._lasting = lasting
        self._service = binding.descriptor
        self.published = 0
        self.cookies: list[str] = []
        """What the last reply has a browser keep."""
        self.trailers: dict[str, str | bytes] = {}
        """What came after the last reply."""

    async def __call__(
        self, method: str, request: Any = None, metadata: Sequence[tuple[str, str]] = ()
    ) -> Any:
        """The reply. Raises grpc.aio.AioRpcError.

        A stream without a request is one on which nothing is said. Where one is refused at once
        there must be none: gRPC's client forgets the status if it was still writing.
        """
        descriptor = self._service.methods_by_name[method]
        if request is None and not descriptor.client_streaming:
            request = GetMessageClass(descriptor.input_type)()
        path = f"/{self._service.full_name}/{method}"
        shape, channel = "unary_unary", self._channel
        if descriptor.client_streaming:
            shape, channel = "stream_stream", self._lasting
        call = getattr(channel, shape)(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(descriptor.output_type).FromString,
        )
        if descriptor.client_streaming:
            return await _stream(call, request, tuple(metadata))
        running = call(request, metadata=tuple(metadata))
        reply = await running
        told = await running.initial_metadata()
        self.cookies = [str(value) for name, value in told if name == "set-cookie"]
        self.trailers = dict(await running.trailing_metadata())
        return reply

    async def publish(self) -> None:
        self.published += 1


async def _stream(call: Any, request: Any, metadata: tuple[tuple[str, str], ...]) -> list[Any]:
    stream = call(metadata=metadata)
    if request is not None:
        await stream.write(request)
    return [reply async for reply in stream]


def from_page(origin: str, refresh_token: str) -> list[tuple[str, str]]:
    """What a page in a browser sends, as the proxy in front passes it on."""
    return [("x-octelium-origin", origin), ("cookie", f"octelium_rt={refresh_token}")]


def as_session(session: core.Session) -> list[tuple[str, str]]:
    """What the proxy in front says about a caller."""
    return [
        ("x-octelium-session-uid", session.metadata.uid),
        ("x-octelium-session-ref", MessageToJson(reference(session), indent=None)),
    ]


@asynccontextmanager
async def serving(
    binding: Binding,
    directory: Path,
    limits: Limits | None = None,
    lasting: Iterable[Method] = (),
) -> AsyncIterator[Calls]:
    path, lasting_path = directory / "api.sock", directory / "lasting.sock"
    async with (
        grpc.aio.insecure_channel(
            f"unix:{path}", options=[("grpc.primary_user_agent", "octelium-cli/0.9.0")]
        ) as channel,
        grpc.aio.insecure_channel(f"unix:{lasting_path}", options=AUTHORITY) as other,
    ):
        calls = Calls(channel, binding, other)
        server = ApiServer([binding], publish=calls.publish, limits=limits)
        lasts = LastingServer(lasting, 16)
        server.listen(path)
        lasts.listen(lasting_path)
        await server.start()
        await lasts.start()
        try:
            yield calls
        finally:
            await lasts.stop(0)
            await server.stop(0)
