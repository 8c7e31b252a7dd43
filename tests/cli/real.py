"""The project's own API server on a real store, behind TLS, for whole walks of commands.

A thin gRPC proxy stands for the one in front of the API: it ends TLS, takes one token, and vouches
for the administrator's Session.
"""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc

from octelium.client.resources import IF_VERSION, STRICT
from octelium.schema.jsonform import to_json
from octelium.store.metadata import reference
from tests.apiserver.harness import Harness, running
from tests.client.standin import DOMAIN, Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "access-token"
_TRUSTED = ("x-octelium-session-uid", "x-octelium-session-ref")


@contextmanager
def real_api(
    directory: Path, authority: Authority, *, official: bool = False
) -> Iterator[tuple[Harness, dict[str, str]]]:
    """Serve; yields what is behind the API, and the environment of its administrator.

    `official`: no more than what every Octelium has.
    """
    stop = threading.Event()
    ready: Future[Harness] = Future()

    async def serve() -> None:
        async with running(directory) as harness:
            ready.set_result(harness)
            await asyncio.to_thread(stop.wait)

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        harness = ready.result(300)
        session = reference(harness.session)
        trusted = ((_TRUSTED[0], session.uid), (_TRUSTED[1], json.dumps(to_json(session))))
        with (
            grpc.insecure_channel(
                f"unix:{directory / 'api.sock'}",
                options=[("grpc.max_receive_message_length", -1)],
            ) as channel,
            _front(authority, _Forward(channel, trusted, official=official)) as port,
        ):
            ca = directory / "ca.pem"
            ca.write_bytes(authority.pem)
            yield (
                harness,
                {
                    "OCTELIUM_DOMAIN": DOMAIN,
                    "OCTELIUM_HOME": "mem",
                    "OCTELIUM_API_ENDPOINT": f"127.0.0.1:{port}",
                    "OCTELIUM_ACCESS_TOKEN": TOKEN,
                    "SSL_CERT_FILE": str(ca),
                },
            )
    finally:
        stop.set()
        thread.join()


@contextmanager
def _front(authority: Authority, handler: grpc.GenericRpcHandler) -> Iterator[int]:
    certificate, key = authority.issue(f"octelium-api.{DOMAIN}")
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((handler,))
    credentials = grpc.ssl_server_credentials([(key, certificate)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    yield port
    server.stop(None).wait()


class _Forward(grpc.GenericRpcHandler):
    def __init__(
        self, channel: grpc.Channel, trusted: tuple[tuple[str, str], ...], *, official: bool
    ) -> None:
        self._official = official
        self._channel = channel
        self._trusted = trusted

    def service(
        self, details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        if self._official and not details.method.startswith("/octelium.api."):
            return None  # the server itself answers UNIMPLEMENTED
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(details.method)
        given = dict(details.invocation_metadata)
        bearer = given.get("x-octelium-auth")
        passed = tuple((key, str(given[key])) for key in (STRICT, IF_VERSION) if key in given)

        def forward(request: bytes, context: grpc.ServicerContext) -> Any:
            if bearer != TOKEN:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "Octelium: Unauthenticated")
            try:
                reply, done = call.with_call(
                    request, metadata=(*self._trusted, *passed), timeout=60
                )
            except grpc.RpcError as error:
                trailers = ((item.key, item.value) for item in error.trailing_metadata() or ())
                context.set_trailing_metadata(tuple(trailers))
                context.abort(error.code(), error.details() or "")
            context.set_trailing_metadata(tuple(done.trailing_metadata() or ()))
            return reply

        return grpc.unary_unary_rpc_method_handler(forward)
