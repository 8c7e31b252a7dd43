"""Who is connected: followed by commits, and ended when it is time.

A connection without a stream is in grace: its addresses and its tunnel stay for two minutes, so
that a client whose stream broke, or whose control process was restarted, goes on where it was.
After a start every connection is in grace.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from octelium.apiserver.connect.connections import (
    connection_id,
    end,
    mark_of,
    unusable_because,
)
from octelium.apiserver.connect.session_addresses import REST, SessionAddresses
from octelium.apiserver.connect.upstreams import allocate, hosts_touched
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.errors import StoreError
from octelium.store.metadata import set_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from octelium.apiserver.connect.streams import Stream, Streams
    from octelium.store.resources import Committed, Resources, Transaction

_LOG = logging.getLogger(__name__)

GRACE: Final = 120.0
"""Seconds for which a connection without a stream is kept."""
SEEN: Final = 300.0
"""Seconds within which `lastSeenAt` of a live connection is renewed."""

_SWEEP: Final = 60.0
_BATCH: Final = 64
"""Sessions that one transaction changes at most: it holds up all others."""
_TURN: Final = 1.0


@dataclass(slots=True)
class Connected:
    """One connected Session."""

    session_uid: str
    id: str
    user_uid: str
    device_uid: str
    index: int
    expires_at: float
    seen_at: float
    serves: bool
    stream: Stream | None = None
    grace_until: float = 0.0


@dataclass(slots=True)
class _Work:
    """What is to be written, in order of arrival, each once."""

    ends: dict[tuple[str, str], None] = field(default_factory=dict)
    refreshes: dict[str, None] = field(default_factory=dict)


class Registry:
    """Every connected Session, and what is due."""

    def __init__(
        self,
        resources: Resources,
        streams: Streams,
        clock: Callable[[], float],
        addresses: SessionAddresses | None = None,
    ) -> None:
        self.addresses = addresses or SessionAddresses()
        self._resources = resources
        self._streams = streams
        self._clock = clock
        self._connected: dict[str, Connected] = {}
        self._by_user: dict[str, set[str]] = {}
        self._by_device: dict[str, set[str]] = {}
        self._due: list[tuple[float, str, str]] = []
        self._work = _Work()
        self._wake = asyncio.Event()
        self._next_sweep = 0.0

    def __len__(self) -> int:
        return len(self._connected)

    async def follow(self) -> Callable[[], None]:
        """Take in who is connected and follow commits from now on; returns what ends that."""
        now = self._clock()
        resting = [
            (mark.ended_at + REST, mark.index, session.metadata.uid)
            for session in self._resources.peek_all(core.Session)
            if (mark := mark_of(session)) is not None and mark.ended_at + REST > now
        ]
        for at, deleted in await self._resources.deleted_since("Session", now - REST):
            mark = mark_of(deleted)
            if mark is not None:
                resting.append(((mark.ended_at or at) + REST, mark.index, deleted.metadata.uid))
        for until, index, owner in sorted(resting):
            self.addresses.rest(index, owner, until)
        for item in [*self._resources.items("Session")]:
            self._session(item.uid, item.message, now)
        return self._resources.subscribe(self._take)

    def attach(self, stream: Stream) -> None:
        """A connection has a stream now."""
        known = self._find(stream)
        if known is not None:
            known.stream = stream

    def detach(self, stream: Stream) -> None:
        """A stream has ended: unless its connection has too, it is in grace."""
        known = self._find(stream)
        if known is not None and known.stream is stream:
            known.stream = None
            self._begin_grace(known)

    async def run(self) -> None:
        """Do what is due, until cancelled."""
        while True:
            try:
                await self.turn()
            except Exception:  # noqa: BLE001 - logged; one failure must not end this for good
                _LOG.exception("connections could not be brought up to date: tried again soon")
                await asyncio.sleep(_TURN)
            try:
                async with asyncio.timeout(_TURN):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def turn(self) -> None:
        """Do everything that is due now.

        Raises:
            StoreError: the store failed; what could not be done is tried again by the next turn.
        """
        self._wake.clear()
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            _, session_uid, connection = heapq.heappop(self._due)
            self._check(session_uid, connection, now)
        if now >= self._next_sweep:
            self._next_sweep = now + _SWEEP
            await self._write(self._unseen(now), _see)
        while self._work.ends:
            await self._end_some()
        while self._work.refreshes:
            await self._refresh_some()

    def _find(self, stream: Stream) -> Connected | None:
        known = self._connected.get(stream.session_uid)
        return known if known is not None and known.id == stream.connection_id else None

    def _begin_grace(self, known: Connected) -> None:
        known.grace_until = self._clock() + GRACE
        heapq.heappush(self._due, (known.grace_until, known.session_uid, known.id))

    def _check(self, session_uid: str, connection: str, now: float) -> None:
        known = self._connected.get(session_uid)
        if known is None or known.id != connection:
            return
        if known.expires_at <= now:
            self._revoke(known, "this Session has expired")
        elif known.stream is None and known.grace_until <= now:
            self._schedule_end(known)

    def _schedule_end(self, known: Connected) -> None:
        self._work.ends[known.session_uid, known.id] = None
        self._wake.set()

    def _revoke(self, known: Connected, why: str) -> None:
        if known.stream is not None:
            known.stream.disconnect(why)
        self._schedule_end(known)

    # Commits.

    def _take(self, committed: Committed) -> None:
        for change in committed.changes:
            if change.kind == "Session":
                message = None if change.after is None else change.after.message
                self._session(change.uid, message, committed.at)
            elif change.kind == "User":
                self._recheck(self._by_user.get(change.uid, ()))
            elif change.kind == "Device":
                self._recheck(self._by_device.get(change.uid, ()))
        for user_uid in hosts_touched(committed):
            for session_uid in self._by_user.get(user_uid, ()):
                if self._connected[session_uid].serves:
                    self._work.refreshes[session_uid] = None
                    self._wake.set()

    def _session(self, uid: str, session: core.Session | None, at: float) -> None:
        known = self._connected.get(uid)
        present = None if session is None else connection_id(session)
        if known is not None and known.id != present:
            self._forget(known, at)
            known = None
        if session is None or present is None:
            return
        if known is None:
            known = self._connected[uid] = self._new(session, present)
            self.addresses.use(known.index, uid)
            self._by_user.setdefault(known.user_uid, set()).add(uid)
            self._by_device.setdefault(known.device_uid, set()).add(uid)
            self._begin_grace(known)
        expires_at = float(session.spec.expires_at.seconds)
        if expires_at != known.expires_at:
            known.expires_at = expires_at
            heapq.heappush(self._due, (expires_at, uid, known.id))
        known.seen_at = session.status.connection.last_seen_at.ToMicroseconds() / 1_000_000
        self._recheck((uid,))

    @staticmethod
    def _new(session: core.Session, connection: str) -> Connected:
        mark = mark_of(session)
        options = session.status.connection.service_options
        return Connected(
            session_uid=session.metadata.uid,
            id=connection,
            user_uid=session.status.user_ref.uid,
            device_uid=session.status.device_ref.uid,
            index=0 if mark is None else mark.index,
            expires_at=0.0,
            seen_at=0.0,
            serves=bool(options.serve_all or options.requested_services),
        )

    def _forget(self, known: Connected, at: float) -> None:
        del self._connected[known.session_uid]
        for by, key in ((self._by_user, known.user_uid), (self._by_device, known.device_uid)):
            by[key].discard(known.session_uid)
            if not by[key]:
                del by[key]
        self.addresses.release(known.index, known.session_uid, at)

    def _recheck(self, uids: Iterable[str]) -> None:
        """End those of these Sessions that may not be connected any more."""
        now = self._clock()
        for uid in [*uids]:
            session = self._resources.peek(core.Session, uid=uid)
            if session is not None and (why := unusable_because(self._resources, session, now)):
                self._revoke(self._connected[uid], why)

    # Writing.

    def _unseen(self, now: float) -> list[tuple[str, str]]:
        return [
            (known.session_uid, known.id)
            for stream in self._streams
            if (known := self._find(stream)) is not None and known.seen_at <= now - SEEN + _SWEEP
        ]

    async def _write(
        self, named: list[tuple[str, str]], change: Callable[[Transaction, core.Session], bool]
    ) -> None:
        """Change Sessions as long as they have the connections named."""
        rest = iter(named)
        while batch := [*islice(rest, _BATCH)]:
            async with self._resources.transaction() as tx:
                for session_uid, connection in batch:
                    session = tx.find(core.Session, uid=session_uid)
                    if (
                        session is not None
                        and connection_id(session) == connection
                        and change(tx, session)
                    ):
                        tx.update(session)

    async def _end_some(self) -> None:
        batch = [*islice(self._work.ends, _BATCH)]
        await self._write(batch, lambda tx, session: end(session, tx.at))
        for named in batch:
            self._work.ends.pop(named, None)

    async def _refresh_some(self) -> None:
        batch = [*islice(self._work.refreshes, _BATCH)]
        for session_uid in batch:
            # Before the transaction: what changes after it began comes again.
            self._work.refreshes.pop(session_uid, None)
        named = [(uid, self._connected[uid].id) for uid in batch if uid in self._connected]
        try:
            await self._write(named, allocate)
        except StoreError:
            self._work.refreshes.update(dict.fromkeys(batch))
            raise


def _see(tx: Transaction, session: core.Session) -> bool:
    set_time(session.status.connection.last_seen_at, tx.at)
    return True
