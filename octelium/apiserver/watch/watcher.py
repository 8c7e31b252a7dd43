"""ext.v1 `Watch`: resources as they change, to whom may list them.

Whatever is sent is decided at that moment, each kind as its List method. All kinds of a watch are
decided again when something changes that may take a right away, and once a minute; who lost one
learns it at once, so that nobody takes silence for rest. The stream as such belongs to the Session
and is watched by the proxy, which resets it when that one ends.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import grpc

from octelium.apiserver.insight.rights import Rights
from octelium.apiserver.rpc import ApiError
from octelium.apiserver.watch.feed import Feed
from octelium.apiserver.watch.told import recall, response
from octelium.apiserver.watch.wanted import Wanted, read_methods, read_wanted
from octelium.store.errors import Compacted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping

    from octelium.apiserver.rpc import Authorize, Call
    from octelium.apiserver.watch.told import Told
    from octelium.schema.pb import core_v1_pb2 as core
    from octelium.schema.pb import ext_v1_pb2 as ext
    from octelium.store.resources import Resources

MOST: Final = 512
MOST_OF_USER: Final = 64
MOST_OF_SESSION: Final = 16
"""Watches at a time: in all, of all Sessions of one User, and of one Session."""
PERIOD: Final = 60.0
"""Seconds after which rights are decided again, whatever happened."""
PAUSE: Final = 0.05
"""Seconds between two responses: what is committed meanwhile goes together."""
_MOST_CHANGES: Final = 1000
_MOST_BYTES: Final = 128 << 10
"""Of one response, save that a single change may be larger. Who reads slowly holds one."""
_MOST_TAKEN: Final = 1 << 20
"""About how much memory the changes have that one watch is telling: others' clients may read none
of theirs for hours."""
_COMMITS: Final = 32
"""Of the past, read at a time."""
_SILENT: Final = 256
"""Revisions without a change for a watch, after which it is told that it has seen them."""


class WatchService:
    """All watches of the Cluster."""

    def __init__(
        self,
        resources: Resources,
        authorize: Authorize,
        *,
        feed: Feed | None = None,
        period: float = PERIOD,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._resources = resources
        self._authorize = authorize
        self._feed = Feed(resources) if feed is None else feed
        self._period = period
        self._sleep = sleep
        self._open: Counter[str] = Counter()
        """By the Session's uid."""
        self._open_of_user: Counter[str] = Counter()

    async def watch(self, request: ext.WatchRequest, call: Call) -> AsyncGenerator[bytes]:
        """Changes of the kinds of a request, as `WatchResponse` messages on the wire.

        Raises:
            ApiError: The caller may not list a kind, or not any more; there are too many watches.
            Invalid: No kind, or an unknown one, or one that cannot be listed like that.
            NotFound: What the resources shall refer to does not exist.
            Compacted: Changes since the revision are not known, or the caller was too slow.
        """
        methods = read_methods(request)
        watch = _Watch(self._resources, self._authorize, methods, call)
        # Read from before the decision on, which then holds for all that is read.
        with self._feed.reader() as reader:
            await watch.require(methods)
            with self._place(watch):
                watch.wanted = read_wanted(request, self._resources)
                now = reader.revision
                if request.revision > now:
                    raise Compacted(
                        f"there is no revision {request.revision}, the last one is {now}: "
                        "list anew, then watch from there"
                    )
                if request.revision:
                    async for changes in self._past(request.revision, now):
                        async for piece in watch.pieces(changes):
                            yield piece
                yield watch.mark(now)
                clock = asyncio.get_running_loop().time
                due = clock() + self._period
                while True:
                    await reader.wait(due - clock())
                    changes = reader.take(_MOST_CHANGES, _MOST_TAKEN)
                    is_due = clock() >= due
                    if is_due or watch.may_lose_rights(changes):
                        await watch.require(methods)
                        due = clock() + self._period
                    async for piece in watch.pieces(changes):
                        yield piece
                    if reader.revision - watch.told > (0 if is_due else _SILENT):
                        yield watch.mark(reader.revision)
                    if not reader.is_behind:
                        await self._sleep(PAUSE)

    @contextmanager
    def _place(self, watch: _Watch) -> Iterator[None]:
        """A place for a watch that is allowed: who may not watch keeps nobody from it."""
        counts = ((self._open, watch.session_uid), (self._open_of_user, watch.user_uid))
        if (
            self._open.total() >= MOST
            or self._open_of_user[watch.user_uid] >= MOST_OF_USER
            or self._open[watch.session_uid] >= MOST_OF_SESSION
        ):
            problem = "too many watches: end others, or try again later"
            raise ApiError(grpc.StatusCode.RESOURCE_EXHAUSTED, problem)
        for count, uid in counts:
            count[uid] += 1
        try:
            yield
        finally:
            for count, uid in counts:
                count[uid] -= 1
                if not count[uid]:
                    del count[uid]

    async def _past(self, after: int, until: int) -> AsyncGenerator[list[Told]]:
        """What was committed after one revision and not after another, commit by commit."""
        while after < until:
            commits = await self._resources.commits(after, _COMMITS)
            commits = [commit for commit in commits if commit.revision <= until]
            if not commits:
                return
            after = commits[-1].revision
            yield [*recall(commits)]


class _Watch:
    """One watch: what it wants, what it may have, and what it has been told."""

    def __init__(
        self,
        resources: Resources,
        authorize: Authorize,
        methods: Mapping[str, str],
        call: Call,
    ) -> None:
        self.wanted = Wanted({})
        self.session_uid = call.require_session()
        self.user_uid = ""
        """Of the Session's User, once it was decided on."""
        self.told = 0
        """The last revision that the caller knows to have seen."""
        self._resources = resources
        self._authorize = authorize
        self._methods = methods
        self._call = call
        self._own: frozenset[str] = frozenset()
        """Uids of the Session, the User and the Device that ask."""

    async def require(self, kinds: Iterable[str]) -> None:
        """Decide on kinds.

        Raises:
            ApiError: The caller may not list one of them.
        """
        session: core.Session | None = self._resources.peek("Session", uid=self._call.session_uid)
        if session is None:
            raise ApiError(grpc.StatusCode.UNAUTHENTICATED, "Unauthenticated User")
        status = session.status
        self.user_uid = status.user_ref.uid
        self._own = frozenset(
            (session.metadata.uid, status.user_ref.uid, status.device_ref.uid or "-")
        )
        methods = [self._methods[kind] for kind in kinds]
        await Rights(self._authorize, self._call).require(methods)

    def may_lose_rights(self, changes: Iterable[Told]) -> bool:
        """Whether the caller may have had more rights before these changes."""
        return any(told.is_decisive or told.uid in self._own for told in changes)

    def mark(self, revision: int) -> bytes:
        """A response without changes: the caller has seen everything up to this revision."""
        self.told = revision
        return response((), revision)

    async def pieces(self, changes: Iterable[Told]) -> AsyncGenerator[bytes]:
        """Those of the changes that are wanted, as responses."""
        piece: list[Told] = []
        size = 0
        revision = self.told
        for told in changes:
            if self.wanted.holds(told):
                piece.append(told)
                size += len(told.data)
            revision = told.revision if told.ends else 0
            if size >= _MOST_BYTES:
                yield await self._piece(piece, revision)
                piece, size = [], 0
        if piece:
            yield await self._piece(piece, revision)

    async def _piece(self, piece: list[Told], revision: int) -> bytes:
        await self.require(dict.fromkeys(told.kind for told in piece))
        self.told = max(self.told, revision)
        return response(piece, revision)
