"""One call that lasts: gRPC on a stream of our own HTTP/2.

A call of `grpc.aio` costs some 40 kB for as long as it is open. There may be thousands, and most of
the time nothing happens on any. So one has a task only until it has begun; from then on it tells a
`Receiver` what comes.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol

import grpc
from google.protobuf.message import DecodeError, Message

from octelium.apiserver.lasting.ration import Ration
from octelium.apiserver.rpc import MAX_STATUS_TEXT, ApiError, call_of, status_of
from octelium.http.grpc_messages import (
    CompressedError,
    Splitter,
    TooLargeError,
    framed,
    seconds_of,
    status_fields,
)
from octelium.http.message import EMPTY_BLOCK, FieldBlock, RequestHead
from octelium.http.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from octelium.apiserver.rpc import Call
    from octelium.http.budget import Budget, Place
    from octelium.http.h2.server import ServerStream
    from octelium.http.message import Field, Fields

_LOG = logging.getLogger(__name__)

CONTENT_TYPE: Final = (b"content-type", b"application/grpc")
_HEAD: Final = FieldBlock((CONTENT_TYPE, (b"grpc-accept-encoding", b"identity")))
_FORGOTTEN: Final = RequestHead(b"POST", b"/", b"http", b"", b"", EMPTY_BLOCK, 20)
"""In place of a head that nobody needs any more: it takes more memory than all the rest."""
_BAD: Final = grpc.StatusCode.INVALID_ARGUMENT
_TOO_MUCH: Final = grpc.StatusCode.RESOURCE_EXHAUSTED


class Receiver(Protocol):
    """What is told of a call that has begun. Nothing is told after its end."""

    def received(self, message: Any) -> None:
        """The client sent a message."""

    def half_closed(self) -> None:
        """The client sends nothing more."""

    def failed(self, error: Exception) -> None:
        """What the client sent cannot be taken, or its deadline has passed: end the call so."""

    def gone(self) -> None:
        """The client has cancelled the call, or is not there any more."""


class Method:
    """An RPC. `begin(lasting, call)` sets the `receiver`; what it raises is the call's end.

    A message has at most `max_request_bytes`. Once begun it must be whole in `message_seconds`;
    time that a client is kept waiting in does not count.
    """

    __slots__ = ("begin", "max_request_bytes", "message_seconds", "path", "request_class")

    def __init__(
        self,
        path: str,
        request_class: type[Message],
        begin: Callable[[LastingCall, Call], Awaitable[None]],
        max_request_bytes: int = 64 << 10,
        message_seconds: float = 20.0,
    ) -> None:
        self.path = path
        self.request_class = request_class
        self.begin = begin
        self.max_request_bytes = max_request_bytes
        self.message_seconds = message_seconds

    def parse(self, data: bytes) -> Message:
        """A message of the client. Raises ApiError."""
        try:
            return self.request_class.FromString(data)
        except DecodeError as error:
            name = self.request_class.DESCRIPTOR.full_name
            raise ApiError(_BAD, f"the request is not a {name} message") from error


class _Beginning:
    """What there is of a call only until it has begun."""

    __slots__ = ("complete", "has_message", "messages", "task", "waiter")

    def __init__(self) -> None:
        self.complete = False
        self.has_message = False
        self.messages: deque[Message] = deque()
        self.task: asyncio.Task[None] | None = None
        self.waiter: asyncio.Future[None] | None = None

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class LastingCall:
    """One call; `left` is called once, at its end.

    What it keeps of messages is taken from `budget`, in the name of the caller's Session.
    """

    __slots__ = (
        "_beginning",
        "_budget",
        "_half",
        "_left",
        "_method",
        "_owner",
        "_place",
        "_ration",
        "_splitter",
        "_stream",
        "_timer",
        "receiver",
    )

    def __init__(
        self, stream: ServerStream, method: Method, left: Callable[[], None], budget: Budget
    ) -> None:
        self.receiver: Receiver | None = None
        self._method = method
        self._left = left
        self._stream: ServerStream | None = stream
        self._splitter = Splitter(method.max_request_bytes)
        self._ration = Ration(asyncio.get_running_loop().time())
        self._budget = budget
        self._owner = ""
        self._place: Place | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._half: asyncio.TimerHandle | None = None
        """Runs while a message has begun and is not complete."""
        self._beginning: _Beginning | None = _Beginning()

    def start(self) -> None:
        """Take the request; once, from the stream's handler."""
        stream, beginning = self._stream, self._beginning
        assert stream is not None
        assert beginning is not None
        block = stream.head.block
        if (seconds := seconds_of(block.first(b"grpc-timeout"))) is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(seconds, self._expire)
        metadata = {
            name.decode("latin-1"): _text(value)
            for name, value in block.fields
            if name[:1] != b":" and not name.endswith(b"-bin")
        }
        call = call_of(self._method.path, metadata)
        self._owner = call.session_uid or call.client_address
        beginning.task = spawn(self._run(call), name=self._method.path)
        early = stream.early
        # Many may wait to begin at a time, and keep what they hold until then.
        stream.head, stream.early = _FORGOTTEN, b""
        if early:
            self.request_data(early)
        if stream.complete:
            self.request_ended(())

    # The service's side.

    async def first(self) -> Any:
        """The first message; None if the client has ended without. For one caller."""
        beginning = self._beginning
        assert beginning is not None
        if not beginning.messages and not beginning.complete:
            beginning.waiter = asyncio.get_running_loop().create_future()
            await beginning.waiter
        return beginning.messages.popleft() if beginning.messages else None

    @property
    def is_behind(self) -> bool:
        """Whether the client has not taken all that was sent."""
        return self._stream is not None and self._stream.has_backlog()

    def send(self, message: bytes) -> None:
        """Send a message. It leaves in the loop's next turn, when all have heard of its cause."""
        stream = self._stream
        if stream is None:
            return
        if stream.answered:
            stream.send_data(framed(message))
        else:
            stream.send_head(200, _HEAD, framed(message))

    def end(self, failure: Exception | None = None, trailers: Fields = ()) -> None:
        """End the call behind what was sent, with the status that tells of `failure`."""
        stream = self._leave()
        if stream is None:
            return
        fields = (*self._status(failure), *trailers)
        if stream.answered:
            stream.send_end(fields)
        else:
            stream.send_head(200, FieldBlock((CONTENT_TYPE, *fields)), end=True)

    def reset(self) -> None:
        """End the call at once; what the client has not taken is lost."""
        stream = self._leave()
        if stream is not None:
            stream.reset()

    # The stream's side.

    def request_data(self, data: bytes) -> None:
        """See `RequestReceiver`."""
        method = self._method
        try:
            self._spend()
            messages = self._splitter.feed(data)
            for raw in messages:
                self._spend()
                self._take(method.parse(raw))
            self._watch(len(data), is_new=bool(messages))
        except CompressedError:
            text = "compressed messages are not taken"
            self._fail(ApiError(grpc.StatusCode.UNIMPLEMENTED, text))
        except TooLargeError as error:
            text = f"the request has {error.size} bytes; {method.max_request_bytes} are allowed"
            self._fail(ApiError(_TOO_MUCH, text))
        except Exception as error:  # noqa: BLE001 - every failure becomes a status
            self._fail(error)

    def request_ended(self, trailers: Fields) -> None:  # noqa: ARG002 - gRPC's clients have none
        """See `RequestReceiver`."""
        if self._splitter.waiting:
            self._fail(ApiError(_BAD, "the request ended within a message"))
        elif self._beginning is not None:
            self._beginning.complete = True
            self._beginning.wake()
        else:
            self._close_half()

    def request_aborted(self, problem: str) -> None:  # noqa: ARG002 - all ends are the same here
        """See `RequestReceiver`."""
        receiver = self.receiver
        if self._leave() is not None and receiver is not None:
            receiver.gone()

    def downstream_paused(self) -> None:
        """See `RequestReceiver`; `is_behind` says as much to who sends."""

    def downstream_resumed(self) -> None:
        """See `RequestReceiver`."""

    # Inside.

    async def _run(self, call: Call) -> None:
        try:
            await self._method.begin(self, call)
        except Exception as error:  # noqa: BLE001 - every failure becomes a status
            trailers = tuple(_trailer(name, value) for name, value in call.trailers)
            self.end(error, trailers)
            return
        beginning, self._beginning = self._beginning, None
        stream = self._stream
        if stream is None or beginning is None:
            return
        for message in beginning.messages:
            self._receive(message)
        self._watch(0, is_new=True)
        if beginning.complete:
            self._close_half()
        else:
            stream.resume_receiving()

    def _spend(self) -> None:
        if not self._ration.take(asyncio.get_running_loop().time()):
            raise ApiError(_TOO_MUCH, "too many messages, or pieces of them, on one stream")

    def _watch(self, more: int, *, is_new: bool) -> None:
        """Bound what is kept after `more` bytes; `is_new`: what has begun began just now."""
        if self._stream is None:
            return
        beginning, waiting = self._beginning, self._splitter.waiting
        if self._half is not None and (is_new or not waiting):
            self._half.cancel()
            self._half = None
        # Nothing is taken from a client that waits for its beginning with a message.
        if waiting and self._half is None and (beginning is None or not beginning.has_message):
            loop = asyncio.get_running_loop()
            self._half = loop.call_later(self._method.message_seconds, self._late)
        place = self._place
        if beginning is None and (is_new or not waiting):
            if place is not None:
                place.leave()
                self._place = place = None
            more = waiting
        if more:
            if place is None:
                place = self._place = self._budget.place(self._owner, self._evict)
            place.take(more)

    def _late(self) -> None:
        seconds = self._method.message_seconds
        text = f"a message was not complete {seconds:g} s after it began"
        self._fail(ApiError(grpc.StatusCode.DEADLINE_EXCEEDED, text))

    def _evict(self) -> None:
        self._fail(ApiError(_TOO_MUCH, "too many bytes of this Session wait: try later"))

    def _take(self, message: Message) -> None:
        beginning, stream = self._beginning, self._stream
        if stream is None:
            return
        if beginning is None:
            self._receive(message)
            return
        beginning.has_message = True
        beginning.messages.append(message)
        beginning.wake()
        if not stream.complete:
            stream.pause_receiving()

    def _receive(self, message: Message) -> None:
        if self.receiver is not None:
            try:
                self.receiver.received(message)
            except Exception as error:  # noqa: BLE001 - every failure becomes a status
                self._fail(error)

    def _close_half(self) -> None:
        if self.receiver is not None:
            try:
                self.receiver.half_closed()
            except Exception as error:  # noqa: BLE001 - every failure becomes a status
                self._fail(error)

    def _expire(self) -> None:
        self._fail(ApiError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))

    def _fail(self, error: Exception) -> None:
        receiver = self.receiver
        if receiver is not None:
            receiver.failed(error)
        self.end(error)

    def _leave(self) -> ServerStream | None:
        """Let go of everything; the stream, unless that was done before."""
        stream, self._stream = self._stream, None
        if stream is None:
            return None
        stream.receiver = self.receiver = None
        for timer in (self._timer, self._half):
            if timer is not None:
                timer.cancel()
        self._timer = self._half = None
        if self._place is not None:
            self._place.leave()
            self._place = None
        beginning, self._beginning = self._beginning, None
        if beginning is not None and beginning.task is not None:
            if beginning.task is not asyncio.current_task():
                beginning.task.cancel()
            beginning.task = None
        self._left()
        return stream

    def _status(self, failure: Exception | None) -> Fields:
        if failure is None:
            return status_fields(0, "")
        code, text = status_of(failure)
        if code is grpc.StatusCode.INTERNAL:
            _LOG.error("%s failed", self._method.path[1:], exc_info=failure)
        return status_fields(code.value[0], text[:MAX_STATUS_TEXT])


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _trailer(name: str, value: str | bytes) -> Field:
    """Binary values travel in base64."""
    raw = b64encode(value).rstrip(b"=") if isinstance(value, bytes) else value.encode()
    return name.encode(), raw
