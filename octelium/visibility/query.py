"""Reading the access log: filters, paging, following."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.store.errors import InvalidArgument
from octelium.visibility.batch import number_at, split_id
from octelium.visibility.entry import make_detail, make_entry
from octelium.visibility.logged import LoggedRequest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from octelium.visibility.batch import Batch, Row
    from octelium.visibility.store import LogFile, LogStore

    _Due = tuple[float, str, int, Batch, Row]

DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000
_DECISIONS = {"": None, "allowed": True, "denied": False}


def _named(reference: dict[str, Any] | None, wanted: str) -> bool:
    return reference is not None and wanted in (reference.get("name"), reference.get("uid"))


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are wanted; empty and zero members want all."""

    request: ext.ListAccessLogRequest
    service: str
    allowed: bool | None
    oldest: float
    newest: float

    @classmethod
    def parse(cls, request: ext.ListAccessLogRequest) -> Filter:
        """Check a request.

        Raises:
            InvalidArgument: an unknown decision or reason.
        """
        if request.decision not in _DECISIONS:
            raise InvalidArgument(f"decision: {request.decision!r} is neither allowed nor denied")
        reasons = core.AccessLogEntryCommonReasonType__.AccessLogEntryCommonReasonType
        names = reasons.keys()
        if request.reason and request.reason not in names:
            raise InvalidArgument(f"reason: {request.reason!r} is none of {', '.join(names)}")
        service = request.service
        if service and service.count("-") < 4 and "." not in service:
            service += ".default"
        start = getattr(request, "from")  # a keyword of Python
        oldest = start.ToMicroseconds() / 1e6 if request.HasField("from") else -math.inf
        newest = request.to.ToMicroseconds() / 1e6 if request.HasField("to") else math.inf
        return cls(request, service, _DECISIONS[request.decision], oldest, newest)

    def wants_subject(self, subject: dict[str, Any]) -> bool:
        """Whether records of this subject can be wanted at all."""
        request = self.request
        if self.allowed is not None and subject["allowed"] != self.allowed:
            return False
        if request.reason:
            reason = subject["reason"].get("type", "TYPE_UNKNOWN_REASON")
            if reason != request.reason:
                return False
        wanted = (
            ("service", self.service),
            ("user", request.user),
            ("session", request.session),
            ("namespace", request.namespace),
        )
        return all(not value or _named(subject[name], value) for name, value in wanted)

    def wants_row(self, row: Row) -> bool:
        """Whether one record is wanted, given that its subject is."""
        request = self.request
        if not self.oldest <= row.started <= self.newest:
            return False
        if request.http_status_min and row.status < request.http_status_min:
            return False
        if request.http_status_max and row.status > request.http_status_max:
            return False
        return not request.path_prefix or row.target.startswith(request.path_prefix.encode())

    def select(self, batch: Batch) -> list[Row]:
        """The wanted records of a block."""
        subjects = [self.wants_subject(subject) for subject in batch.subjects]
        if not any(subjects):
            return []
        return [row for row in batch.rows if subjects[row.subject] and self.wants_row(row)]


class RequestFinder:
    """Finds logged requests, newest first, without waiting for new ones."""

    def __init__(self, log: LogFile) -> None:
        self._log = log

    def find(self, entry: str) -> LoggedRequest | None:
        """The request behind one entry, if it is still kept.

        Raises:
            InvalidArgument: `entry` is no id.
        """
        found = self._locate(entry)
        return None if found is None else LoggedRequest(*found)

    def newest(self, count: int) -> Iterator[LoggedRequest]:
        """The last `count` requests, newest first."""
        wanted = Filter.parse(ext.ListAccessLogRequest())
        everything = self._newest_first(wanted, (math.inf, "", math.inf))
        for batch, row in itertools.islice(everything, count):
            yield LoggedRequest(batch, row)

    def _newest_first(
        self, wanted: Filter, before: tuple[float, str, float]
    ) -> Iterator[tuple[Batch, Row]]:
        """Merge overlapping blocks: a record is due once no later block can hold a newer one."""
        paging = before[2] != math.inf
        waiting: list[_Due] = []
        for started_max, batch in self._log.blocks(before[0], wanted.oldest):
            while waiting and -waiting[0][0] > started_max:
                yield self._pop(waiting)
            for row in wanted.select(batch):
                if not paging or (row.started, batch.prefix, row.number) < before:
                    key = (-row.started, batch.prefix, -row.number)
                    heapq.heappush(waiting, (*key, batch, row))
        while waiting:
            yield self._pop(waiting)

    @staticmethod
    def _pop(waiting: list[_Due]) -> tuple[Batch, Row]:
        *_, batch, row = heapq.heappop(waiting)
        return batch, row

    def _locate(self, entry: str) -> tuple[Batch, Row] | None:
        try:
            name, place = split_id(entry)
        except ValueError as error:
            raise InvalidArgument(f"id: {error}") from error
        for prefix in self._log.prefixes(name):
            number = number_at(prefix, place)
            batch = self._log.find(prefix, number)
            for row in () if batch is None else batch.rows:
                if row.number == number:
                    assert batch is not None
                    return batch, row
        return None


class AccessLogReader(RequestFinder):
    """Answers the log queries of ext.v1."""

    def __init__(self, store: LogStore) -> None:
        super().__init__(store)
        self._store = store

    def query(self, request: ext.ListAccessLogRequest) -> ext.ListAccessLogResponse:
        """Entries, newest first.

        Raises:
            InvalidArgument: the request names an unknown decision, reason or id.
        """
        wanted = Filter.parse(request)
        response = ext.ListAccessLogResponse()
        if request.id:
            found = self._locate(request.id)
            if found is not None:
                self._add(response, *found)
            return response
        limit = min(request.limit or DEFAULT_LIMIT, MAX_LIMIT)
        newest = (wanted.newest, "", math.inf)
        if request.before_id:
            found = self._locate(request.before_id)
            if found is None:
                raise InvalidArgument(f"before_id: {request.before_id!r} is no longer kept")
            newest = (found[1].started, found[0].prefix, found[1].number)
        for batch, row in self._newest_first(wanted, newest):
            if len(response.items) == limit:
                response.has_more = True
                break
            self._add(response, batch, row)
        return response

    @staticmethod
    def _add(response: ext.ListAccessLogResponse, batch: Batch, row: Row) -> None:
        response.items.append(make_entry(batch, row))
        response.details.append(make_detail(batch, row))

    async def follow(
        self, request: ext.ListAccessLogRequest
    ) -> AsyncGenerator[ext.ListAccessLogResponse, None]:
        """Entries as they are written, oldest first; a reader that falls far behind loses some.

        Raises:
            InvalidArgument: as `query`.
        """
        wanted = Filter.parse(request)
        queue: asyncio.Queue[Batch] = asyncio.Queue(maxsize=64)

        def receive(batch: Batch) -> None:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(batch)

        unsubscribe: Callable[[], None] = self._store.subscribe(receive)
        try:
            while True:
                batch = await queue.get()
                rows = wanted.select(batch)
                if rows:
                    response = ext.ListAccessLogResponse()
                    for row in sorted(rows, key=lambda row: row.started):
                        self._add(response, batch, row)
                    yield response
        finally:
            unsubscribe()
