"""What comes without end from a Cluster: changes and log entries, read by threads of their own.

A feed is emptied by who draws, at its own pace; what nobody takes does not pile up.
"""

from __future__ import annotations

import threading
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from octelium.client.errors import ApiError, ClientError
from octelium.client.following import follow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from octelium.client.api import Authorized
    from octelium.client.stub import Conversation

_T = TypeVar("_T")


class Stopped(Exception):  # noqa: N818  (no error)
    """A feed was ended from here."""


class Feed(Generic[_T]):
    """Items that a thread gathers until `stop`.

    `problem` is why it ended, if it did by itself; `notice` is what its reader last had to tell.
    With `most`, older items make room for new ones, and `lost` counts them. What reads may give
    None for an answer that has no item: `has_answered` tells that there was one.
    """

    def __init__(
        self,
        produce: Callable[[Feed[_T]], Iterable[_T | None]],
        *,
        name: str,
        most: int | None = None,
    ) -> None:
        self._items: deque[_T] = deque()
        self._most = most
        self._produce = produce
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._cancels: list[Callable[[], None]] = []
        self.problem: ClientError | None = None
        self.notice = ""
        self.lost = 0
        self.has_answered = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> Feed[_T]:
        """Begin to gather."""
        self._thread.start()
        return self

    def take(self) -> list[_T]:
        """What came since the last time."""
        with self._lock:
            items = list(self._items)
            self._items.clear()
        return items

    def stop(self) -> None:
        """End it; from any thread, any number of times."""
        self._stopping.set()
        with self._lock:
            cancels = list(self._cancels)
        for cancel in cancels:
            cancel()

    def join(self, seconds: float) -> bool:
        """Wait for its end; whether it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def on_stop(self, cancel: Callable[[], None]) -> None:
        """Call this when the feed is stopped; at once, if it is."""
        with self._lock:
            self._cancels.append(cancel)
            if len(self._cancels) > 2:  # only the last stream can be open
                self._cancels.pop(0)
        if self.is_stopped:
            cancel()

    def pause(self, seconds: float) -> None:
        """Wait, unless the feed is stopped. Raises Stopped."""
        if self._stopping.wait(seconds):
            raise Stopped

    def warn(self, text: str) -> None:
        """Remember what is to be told."""
        self.notice = text

    def _run(self) -> None:
        try:
            for item in self._produce(self):
                if self.is_stopped:
                    return
                self.has_answered = True
                if item is None:
                    continue
                with self._lock:
                    self._items.append(item)
                    if self._most is not None and len(self._items) > self._most:
                        self._items.popleft()
                        self.lost += 1
        except Stopped:
            return
        except ClientError as error:
            if not self.is_stopped:
                self.problem = error
        except Exception as error:  # noqa: BLE001  (told to the person; else the view stands still)
            if not self.is_stopped:
                self.problem = ClientError(f"the view stopped: {type(error).__name__}: {error}")


class Cancellable:
    """A service of the API whose streams end with a feed."""

    def __init__(self, service: Authorized, feed: Feed[Any]) -> None:
        self._service = service
        self._feed = feed

    def call(self, method: str, request: Any, **options: Any) -> Any:
        """As `Authorized.call`."""
        return self._service.call(method, request, **options)

    def stream(self, method: str, request: Any) -> Iterator[Any]:
        """As `Authorized.stream`, until the feed is stopped. It begins at once."""
        return self._read(*self._begin(method, request), method, request)

    def _read(
        self, token: str, conversation: Conversation, method: str, request: Any
    ) -> Iterator[Any]:
        try:
            yield from conversation
            return
        except ApiError as error:
            if self._feed.is_stopped:
                raise Stopped from error
            if error.code != "UNAUTHENTICATED" or not self._service.renew(token):
                raise
        yield from self._begin(method, request)[1]

    def _begin(self, method: str, request: Any) -> tuple[str, Conversation]:
        token, conversation = self._service.converse(method, iter([request]))
        self._feed.on_stop(conversation.cancel)
        return token, conversation


def through_outages(
    produce: Callable[[], Iterator[_T | None]], feed: Feed[Any]
) -> Iterator[_T | None]:
    """What is read, which begins anew whenever the Cluster was away; the feed tells of it.

    Raises ApiError for refusals.
    """

    def connect() -> Iterable[_T | None]:
        begun = produce()
        first = next(begun, None)  # the Cluster has answered
        return chain((first,), begun)

    return follow(connect, sleep=feed.pause, warn=feed.warn)


def until_stopped(service: Authorized, feed: Feed[Any]) -> Authorized:
    """The service with streams that end with the feed."""
    return cast("Authorized", Cancellable(service, feed))
