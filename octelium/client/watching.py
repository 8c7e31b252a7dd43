"""Resources of a Cluster as they change, whichever way it can tell.

A Cluster with `ext.v1` sends changes. Any other is asked for its lists again and again, and what
differs by `metadata.resourceVersion` has changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from octelium.client.errors import ApiError
from octelium.client.following import follow
from octelium.client.lists import Lists, key_of, version_of
from octelium.client.resources import Resources
from octelium.schema.kinds import KINDS
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence

    from octelium.client.api import Api
    from octelium.client.lists import Key, Version
    from octelium.client.stub import Conversation
    from octelium.schema.kinds import Kind

_FIRST_PAUSE: Final = 2.0
_LAST_PAUSE: Final = 15.0
"""Seconds between two lists: they grow while nothing changes."""
_SLOWER: Final = 1.5
_POLLED: Final = frozenset({"UNIMPLEMENTED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED"})
"""What the lists may still be good for: the caller may perhaps list, where it may not watch."""
_ROUNDS: Final = 20
"""Lists after which a watch is tried again that there was no place for."""
_AFRESH: Final = 1.0
"""Seconds before a watch begins anew that could not go on."""
_AHEAD: Final = 1000
"""Changes that wait for who awaits them; then the Cluster waits, too."""


class ChangeType(StrEnum):
    """What happened to a resource. RESET is about none: list now, what was before is unknown."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    RESET = "RESET"


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one resource.

    `resource` is as List shows it; of a deleted one as it was last, or no more than name and uid.
    `revision` is that of the store, 0 where the Cluster does not tell.
    """

    type: ChangeType
    kind: str = ""
    uid: str = ""
    resource: Any = None
    revision: int = 0


_TYPES: Final = {
    ext.ChangeType__.ADDED: ChangeType.ADDED,
    ext.ChangeType__.MODIFIED: ChangeType.MODIFIED,
    ext.ChangeType__.DELETED: ChangeType.DELETED,
}


class _StoppedError(Exception):
    """The watch was ended from here."""


def _nobody(_text: str) -> None:
    """Tell nobody."""


class Watching:
    """One watch of kinds: `load` and then `changes`, in one thread; `stop` from any.

    After `load`, changes are those of what it gave. Without it they begin with a RESET, and another
    one stands wherever some were missed: list whenever there is one. `filters` are `user`,
    `namespace` or `region`, by name. `warn` is told once that the Cluster is away, and that it is
    back.
    """

    def __init__(
        self,
        api: Api,
        kinds: Sequence[Kind],
        filters: Mapping[str, str] | None = None,
        *,
        sleep: Callable[[float], object] | None = None,
        warn: Callable[[str], None] = _nobody,
        note: Callable[[str], None] | None = None,
    ) -> None:
        self._ext = api.ext
        self._lists = Lists(Resources(api.core), kinds, filters or {})
        self._request = ext.WatchRequest(kinds=[kind.name for kind in kinds])
        for name, value in (filters or {}).items():
            getattr(self._request, f"{name}_ref").name = value
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._warn = warn
        self._note = note
        self._conversation: Conversation | None = None
        self._known: dict[Key, Version] | None = None
        """What the reader knows; None if that is not known here."""
        self._revision = 0
        self._unsure = 0
        """Before this revision a deletion may have hidden a resource from the lists."""
        self._heard: dict[Key, int] = {}
        """Revisions of changes that came since the last revision that was complete."""
        self._polls = False
        self._rounds = 0
        """Lists after which a stream is tried again; 0: never."""
        self._is_renewed = False

    def load(self) -> list[Any]:
        """All resources of the kinds, kind by kind. Raises ApiError, Invalid."""
        taken = self._lists.take()
        self._revision, self._unsure = taken.revision, taken.latest
        self._known = {key_of(item): version_of(item) for item in taken.items}
        self._heard.clear()
        return taken.items

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End the changes."""
        self._stopped.set()
        conversation = self._conversation
        if conversation is not None:
            conversation.cancel()

    def changes(self) -> Iterator[Change]:
        """What changes, without end, through outages of the Cluster.

        Raises ApiError for refusals, ClientError where there is no token.
        """
        with contextlib.suppress(_StoppedError):
            while True:
                try:
                    yield from follow(
                        self._connect, sleep=self._pause, warn=self._warn, note=self._note
                    )
                except ApiError as error:
                    self._recover(error)

    def _recover(self, error: ApiError) -> None:
        """Go on after an error that repetition alone does not mend."""
        if self._polls:
            raise error
        if error.code == "OUT_OF_RANGE":
            self._revision = 0
            self._heard.clear()
            self._pause(_AFRESH)
        elif error.code in _POLLED:
            self._polls = True
            self._rounds = _ROUNDS if error.code == "RESOURCE_EXHAUSTED" else 0
        else:
            raise error

    def _pause(self, seconds: float) -> None:
        self._check()
        self._sleep(seconds)
        self._check()

    def _check(self) -> None:
        if self._stopped.is_set():
            raise _StoppedError

    def _connect(self) -> Iterator[Change]:
        self._check()
        begun = self._poll() if self._polls else self._stream()
        first = next(begun, None)  # the Cluster has answered
        return (change for change in chain((first,), begun) if change is not None)

    # --- as a stream

    def _stream(self) -> Iterator[Change | None]:
        self._request.revision = self._revision
        is_afresh = not self._revision
        token, conversation = self._ext.converse("Watch", iter([self._request]))
        self._conversation = conversation
        try:
            self._check()
            for response in conversation:
                self._check()
                self._is_renewed = False
                yield None
                for told in response.changes:
                    yield from self._told(told)
                if response.revision:
                    self._revision = max(self._revision, response.revision)
                    self._heard.clear()
                if is_afresh:
                    is_afresh = False
                    yield from self._afresh()
        except ApiError as error:
            self._check()
            if error.code != "UNAUTHENTICATED" or self._is_renewed:
                raise
            self._is_renewed = self._ext.renew(token)
            if not self._is_renewed:
                raise
        finally:
            self._conversation = None
            conversation.cancel()

    def _afresh(self) -> Iterator[Change]:
        """What a stream does not tell that begins now."""
        if self._known is None:
            yield Change(ChangeType.RESET, revision=self._revision)
        else:
            yield from self._differences()

    def _told(self, told: ext.WatchedChange) -> Iterator[Change]:
        chosen = told.WhichOneof("resource")
        if chosen is None or told.kind not in KINDS or told.type not in _TYPES:
            return  # of a later release
        key = (told.kind, told.uid)
        if told.revision <= max(self._revision, self._heard.get(key, 0)):
            return
        self._heard[key] = told.revision
        change = Change(_TYPES[told.type], *key, getattr(told, chosen), told.revision)
        yield from self._news(change)
        is_deleted = change.type is ChangeType.DELETED
        if self._known is not None and is_deleted and told.revision <= self._unsure:
            yield from self._differences()

    def _news(self, change: Change) -> Iterator[Change]:
        """What a change is to a reader; nothing, if it is known."""
        if self._known is None:
            yield change
            return
        key = (change.kind, change.uid)
        before = self._known.pop(key, None)
        if change.type is ChangeType.DELETED:
            if before is not None:
                yield change
            return
        version = self._known[key] = version_of(change.resource)
        if before is None:
            yield replace(change, type=ChangeType.ADDED)
        elif before != version:
            yield replace(change, type=ChangeType.MODIFIED)

    # --- as lists

    def _poll(self) -> Iterator[Change | None]:
        if self._known is None:
            self.load()
            yield None
            yield Change(ChangeType.RESET, revision=self._revision)
        pause = _FIRST_PAUSE
        rounds = 0
        while not self._rounds or rounds < self._rounds:
            self._pause(pause)
            pause = min(pause * _SLOWER, _LAST_PAUSE)
            for change in self._differences():
                pause = _FIRST_PAUSE
                yield change
            yield None
            rounds += 1
        self._polls = False

    def _differences(self) -> Iterator[Change]:
        """What has changed since it was known, by lists."""
        assert self._known is not None
        taken = self._lists.take()
        items = taken.items
        self._revision, self._unsure = max(self._revision, taken.revision), taken.latest
        self._heard.clear()
        gone = dict(self._known)
        for item in items:
            gone.pop(key_of(item), None)
        for (kind, uid), (_, name) in gone.items():
            last = KINDS[kind].message(api_version=KINDS[kind].api, kind=kind)
            last.metadata.uid, last.metadata.name = uid, name
            yield from self._news(Change(ChangeType.DELETED, kind, uid, last, self._revision))
        for item in items:
            yield from self._news(Change(ChangeType.MODIFIED, *key_of(item), item, self._revision))


async def watch(
    api: Api,
    kinds: Sequence[Kind],
    filters: Mapping[str, str] | None = None,
    *,
    warn: Callable[[str], None] = _nobody,
) -> AsyncGenerator[Change]:
    """What changes, as `Watching.changes` without a list, without holding up the event loop.

    Close it (`contextlib.aclosing`) to end the watch. `warn` is called in another thread. Raises
    ApiError, ClientError, Invalid.
    """
    watching = Watching(api, kinds, filters, warn=warn)
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Change | Exception] = asyncio.Queue()
    room = threading.Semaphore(_AHEAD)

    def tell(item: Change | Exception) -> None:
        room.acquire()
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody waits
            loop.call_soon_threadsafe(queue.put_nowait, item)

    def read() -> None:
        try:
            for change in watching.changes():
                tell(change)
                if watching.is_stopped:
                    return
        except Exception as error:  # noqa: BLE001  (whatever it is, it is raised where it is awaited)
            tell(error)

    threading.Thread(target=read, name="watch", daemon=True).start()
    try:
        while True:
            item = await queue.get()
            room.release()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        watching.stop()
        room.release()  # it may be what is waited for
