"""The access log of a Cluster: its last entries, and those that come."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

from octelium.client.errors import ApiError
from octelium.client.following import follow
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from octelium.client.api import Authorized

_PAGE = 1000
_REMEMBERED = 10_000
_LATE = 60 * 10**9
"""Nanoseconds by which an entry may be older than one that was written before it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry in the official form, and why Octelium itself answered, if it did.

    `explanation` is there if the entry was asked for by its id.
    """

    log: Any
    error: str = ""
    explanation: str = ""

    @property
    def id(self) -> str:
        """What identifies the entry."""
        return str(self.log.metadata.id)


def everything(_entry: Entry) -> bool:
    """Keep every entry."""
    return True


def last_entries(
    service: Authorized,
    request: ext.ListAccessLogRequest,
    count: int,
    keep: Callable[[Entry], bool] = everything,
) -> list[Entry]:
    """The last `count` entries that the request wants and that are to `keep`, oldest first.

    Raises ApiError.
    """
    page = ext.ListAccessLogRequest()
    page.CopyFrom(request)
    found: list[Entry] = []
    while len(found) < count:
        page.limit = _PAGE if keep is not everything else min(_PAGE, count - len(found))
        reply = _call(service, page)
        entries = _entries(reply)
        found += [entry for entry in entries if keep(entry)][: count - len(found)]
        if not reply.has_more or not entries:
            break
        page.before_id = entries[-1].id
    return found[::-1]


def follow_entries(
    service: Authorized,
    request: ext.ListAccessLogRequest,
    seen: Sequence[Entry],
    *,
    now: Callable[[], float],
    sleep: Callable[[float], None],
    warn: Callable[[str], None],
    note: Callable[[str], None] | None = None,
    keep: Callable[[Entry], bool] = everything,
) -> Generator[Entry, None, None]:
    """The entries after those that were `seen`, as they come, each once, without end.

    When the stream breaks it is made again, and what came meanwhile is fetched; `warn` is told
    once that the Cluster is away, and once that it is back. Raises ApiError for refusals.
    """
    # Entries are written when a request ends, and dated when it began: some are late. What is older
    # than all that were seen has been left out on purpose.
    missed = ext.ListAccessLogRequest()
    missed.CopyFrom(request)
    since: Any = getattr(missed, "from")  # a keyword of Python
    oldest = _started(seen[0]) + 1000 if seen else 0
    if seen:
        since.FromNanoseconds(max(oldest, _started(seen[-1]) - _LATE))
    elif not missed.HasField("from"):
        since.FromNanoseconds(int(now() * 1e9))
    known = dict.fromkeys(entry.id for entry in seen)

    def connect() -> Iterator[Entry]:
        stream = service.stream("WatchAccessLog", request)
        return chain(last_entries(service, missed, _PAGE), _each(stream))

    for entry in follow(connect, sleep=sleep, warn=warn, note=note):
        if entry.id in known:
            continue
        known[entry.id] = None
        while len(known) > _REMEMBERED:
            del known[next(iter(known))]
        since.FromNanoseconds(max(since.ToNanoseconds(), _started(entry) - _LATE))
        if keep(entry):
            yield entry


def _each(stream: Iterator[ext.ListAccessLogResponse]) -> Iterator[Entry]:
    for reply in stream:
        yield from _entries(reply)


def _started(entry: Entry) -> int:
    return int(entry.log.entry.common.started_at.ToNanoseconds())


def _call(service: Authorized, request: ext.ListAccessLogRequest) -> Any:
    try:
        return service.call("ListAccessLog", request)
    except ApiError as error:
        if error.code != "UNIMPLEMENTED":
            raise
        raise ApiError(
            error.code,
            "this Cluster does not offer its access log",
            error.method,
            "read it where the Cluster exports its logs to",
        ) from error


def _entries(reply: ext.ListAccessLogResponse) -> list[Entry]:
    return [
        Entry(log) if detail is None else Entry(log, detail.error, detail.explanation)
        for log, detail in zip_longest(reply.items, reply.details)
    ]
