"""One gRPC service on a Unix socket, and calls to it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc.aio
from google.protobuf.json_format import MessageToJson
from google.protobuf.message_factory import GetMessageClass

from octelium.apiserver.cookies import BrowserPages
from octelium.apiserver.server import ApiServer
from octelium.store.metadata import reference

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from octelium.apiserver.rpc import Binding, Limits
    from octelium.schema.pb import core_v1_pb2 as core


PAGES = BrowserPages("example.com", "https://example.com", "https://portal.example.com")


class Calls:
    """Calls the methods of one service by their names."""

    def __init__(self, channel: grpc.aio.Channel, binding: Binding) -> None:
        self._channel = channel
        self._service = binding.descriptor
        self.published = 0
        self.cookies: list[str] = []
        """What the last reply has a browser keep."""
        self.trailers: dict[str, str | bytes] = {}
        """What came after the last reply."""

    async def __call__(
        self, method: str, request: Any = None, metadata: Sequence[tuple[str, str]] = ()
    ) -> Any:
        """The reply. Raises grpc.aio.AioRpcError."""
        descriptor = self._service.methods_by_name[method]
        if request is None:
            request = GetMessageClass(descriptor.input_type)()
        path = f"/{self._service.full_name}/{method}"
        shape = "stream_stream" if descriptor.client_streaming else "unary_unary"
        call = getattr(self._channel, shape)(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(descriptor.output_type).FromString,
        )
        if descriptor.client_streaming:
            return [reply async for reply in call(iter([request]), metadata=tuple(metadata))]
        running = call(request, metadata=tuple(metadata))
        reply = await running
        told = await running.initial_metadata()
        self.cookies = [str(value) for name, value in told if name == "set-cookie"]
        self.trailers = dict(await running.trailing_metadata())
        return reply

    async def publish(self) -> None:
        self.published += 1


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
    binding: Binding, directory: Path, limits: Limits | None = None
) -> AsyncIterator[Calls]:
    path = directory / "api.sock"
    async with grpc.aio.insecure_channel(
        f"unix:{path}", options=[("grpc.primary_user_agent", "octelium-cli/0.9.0")]
    ) as channel:
        calls = Calls(channel, binding)
        server = ApiServer([binding], publish=calls.publish, limits=limits)
        server.listen(path)
        await server.start()
        try:
            yield calls
        finally:
            await server.stop(0)
