"""The `Connect` stream, for an event loop: a thread reads what the Cluster says."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING, Any, Protocol

from octelium.client.errors import ApiError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octelium.client.api import Authorized
    from octelium.client.stub import Conversation
    from octelium.schema.pb import user_v1_pb2 as user

    _Said = queue.SimpleQueue[user.ConnectRequest | None]


class Stream(Protocol):
    """One `Connect` stream."""

    async def next(self) -> user.ConnectResponse | None:
        """What the Cluster says next; None when it has ended the stream.

        Raises:
            ClientError: the stream broke, or could not begin.
        """

    def say(self, request: user.ConnectRequest) -> None:
        """Tell the Cluster something."""

    def close(self) -> None:
        """End the stream. May be called again."""


class ConnectStream:
    """A `Stream` by gRPC. A token that is refused is renewed once, before anything was said."""

    def __init__(self, api: Authorized, initialize: user.ConnectRequest) -> None:
        self._api = api
        self._initialize = initialize
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[user.ConnectResponse | ClientError | None] = asyncio.Queue()
        self._said: _Said = queue.SimpleQueue()
        self._conversation: Conversation | None = None
        self._closed = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="Connect", daemon=True).start()

    async def next(self) -> user.ConnectResponse | None:
        """What the Cluster says next."""
        event = await self._events.get()
        if isinstance(event, ClientError):
            raise event
        return event

    def say(self, request: user.ConnectRequest) -> None:
        """Tell the Cluster something."""
        self._said.put(request)

    def close(self) -> None:
        """End the stream: half-close, and cancel."""
        with self._lock:
            self._closed.set()
            conversation = self._conversation
            self._said.put(None)
        if conversation is not None:
            conversation.cancel()

    def _run(self) -> None:
        try:
            token = self._converse()
            if token and self._api.renew(token) and (token := self._converse()):
                raise ApiError("UNAUTHENTICATED", "the Cluster refuses the new token, too", "")
            if token:
                raise ApiError("UNAUTHENTICATED", "", "", "log in again: octelium login")
        except ClientError as error:
            self._give(error)
        else:
            self._give(None)

    def _converse(self) -> str:
        """Have the whole conversation; the token if that was refused.

        Raises:
            ClientError: it broke.
        """
        with self._lock:
            former, self._said = self._said, queue.SimpleQueue()
            former.put(None)
            if self._closed.is_set():
                return ""
            said = self._said
        token, conversation = self._api.converse("Connect", self._requests(said))
        with self._lock:
            if self._closed.is_set():
                conversation.cancel()
            self._conversation = conversation
        begun = False
        try:
            for event in conversation:
                begun = True
                self._give(event)
        except ApiError as error:
            if begun or error.code != "UNAUTHENTICATED":
                raise
            return token
        return ""

    def _requests(self, said: _Said) -> Iterator[user.ConnectRequest]:
        yield self._initialize
        while (request := said.get()) is not None:
            yield request

    def _give(self, event: Any) -> None:
        put: Callable[[Any], None] = self._events.put_nowait
        try:
            self._loop.call_soon_threadsafe(put, event)
        except RuntimeError:  # the loop has ended, and with it whoever listened
            self.close()
