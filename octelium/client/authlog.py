"""The authentication log of a Cluster: its last entries, and those that come."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from octelium.client.errors import ApiError
from octelium.client.following import follow
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from octelium.client.api import Authorized

_PAGE = 1000


def last_attempts(
    service: Authorized, request: ext.ListAuthenticationLogRequest, count: int
) -> list[ext.AuthenticationLogEntry]:
    """The last `count` entries that the request wants, oldest first. Raises ApiError."""
    page = ext.ListAuthenticationLogRequest()
    page.CopyFrom(request)
    found: list[ext.AuthenticationLogEntry] = []
    while len(found) < count:
        page.limit = min(_PAGE, count - len(found))
        reply = _call(service, page)
        found += reply.items
        if not reply.has_more or not reply.items:
            break
        page.before_id = reply.items[-1].id
    return found[::-1]


def follow_attempts(
    service: Authorized,
    request: ext.ListAuthenticationLogRequest,
    last: str,
    *,
    now: Callable[[], float],
    sleep: Callable[[float], None],
    warn: Callable[[str], None],
    note: Callable[[str], None] | None = None,
) -> Generator[ext.AuthenticationLogEntry, None, None]:
    """The entries after the one with the id `last`, as they come, each once, without end.

    Without `last` they are those from now on. When the stream breaks it is made again, and what
    came meanwhile is fetched; `warn` is told once that the Cluster is away, and once that it is
    back. Raises ApiError for refusals.
    """
    missed = ext.ListAuthenticationLogRequest()
    missed.CopyFrom(request)
    if not last:
        since: Any = getattr(missed, "from")  # a keyword of Python
        since.FromNanoseconds(int(now() * 1e9))
    seen = _number(last)

    def connect() -> Iterator[ext.AuthenticationLogEntry]:
        stream = service.stream("WatchAuthenticationLog", request)
        return chain(last_attempts(service, missed, _PAGE), _each(stream))

    for entry in follow(connect, sleep=sleep, warn=warn, note=note):
        number = _number(entry.id)
        if number > seen:
            seen = number
            yield entry


def _each(
    stream: Iterator[ext.ListAuthenticationLogResponse],
) -> Iterator[ext.AuthenticationLogEntry]:
    for reply in stream:
        yield from reply.items


def _number(entry: str) -> int:
    """Ids end with a number that counts up."""
    digits = entry.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def _call(service: Authorized, request: ext.ListAuthenticationLogRequest) -> Any:
    try:
        return service.call("ListAuthenticationLog", request)
    except ApiError as error:
        if error.code != "UNIMPLEMENTED":
            raise
        raise ApiError(
            error.code,
            "this Cluster does not offer its authentication log",
            error.method,
            "read it where the Cluster exports its logs to",
        ) from error
