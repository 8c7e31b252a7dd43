"""Reading the authentication log: filters, paging, following."""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import json_format

from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.store.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from octelium.visibility.attempt import AttemptRecord
    from octelium.visibility.attempt_store import AttemptStore

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 10_000
OUTCOMES: Final = ("succeeded", "refused", "failed")
_ID = re.compile(r"auth-([1-9][0-9]{0,17})")
_REFERENCES: Final = ("user", "session", "credential", "identity_provider", "authenticator")
_TEXTS: Final = (
    "way",
    "outcome",
    "code",
    "reason",
    "identifier",
    "email",
    "aal",
    "client_address",
    "country",
    "user_agent",
    "operation",
)


def entry_id(number: int) -> str:
    """The id of an entry."""
    return f"auth-{number}"


def number_of(entry: str, field: str) -> int:
    """The number of an id; the reverse of `entry_id`.

    Raises:
        InvalidArgument: `entry` is no id.
    """
    match = _ID.fullmatch(entry)
    if match is None:
        raise InvalidArgument(
            f"{field}: {entry[:60]!r} is not the id of an entry of the authentication log"
        )
    return int(match[1])


def make_entry(number: int, record: AttemptRecord) -> ext.AuthenticationLogEntry:
    """One attempt in the form of the API."""
    entry = ext.AuthenticationLogEntry(id=entry_id(number))
    entry.at.FromMicroseconds(round(record.at * 1e6))
    for name in _TEXTS:
        setattr(entry, name, getattr(record, name))
    for name in _REFERENCES:
        reference = getattr(record, name)
        if reference:
            json_format.ParseDict(reference, getattr(entry, name), ignore_unknown_fields=True)
    return entry


@dataclass(frozen=True, slots=True)
class AttemptFilter:
    """Which attempts are wanted; empty members want all."""

    request: ext.ListAuthenticationLogRequest
    oldest: float
    newest: float

    @classmethod
    def parse(cls, request: ext.ListAuthenticationLogRequest) -> AttemptFilter:
        """Check a request.

        Raises:
            InvalidArgument: an unknown outcome.
        """
        if request.outcome and request.outcome not in OUTCOMES:
            known = ", ".join(OUTCOMES)
            raise InvalidArgument(f"outcome: {request.outcome[:60]!r} is none of {known}")
        start = getattr(request, "from")  # a keyword of Python
        oldest = start.ToMicroseconds() / 1e6 if request.HasField("from") else -math.inf
        newest = request.to.ToMicroseconds() / 1e6 if request.HasField("to") else math.inf
        return cls(request, oldest, newest)

    def wants(self, record: AttemptRecord) -> bool:
        """Whether one attempt is wanted."""
        request = self.request
        if not self.oldest <= record.at <= self.newest:
            return False
        texts = (
            (request.outcome, record.outcome),
            (request.way, record.way),
            (request.client_address, record.client_address),
        )
        if any(wanted and wanted != found for wanted, found in texts):
            return False
        return all(
            _named(getattr(record, name), wanted)
            for name in _REFERENCES
            if (wanted := getattr(request, name))
        )


def _named(reference: dict[str, Any] | None, wanted: str) -> bool:
    return reference is not None and wanted in (reference.get("name"), reference.get("uid"))


class AuthenticationLogReader:
    """Answers the queries of ext.v1 about attempts to sign in."""

    def __init__(self, store: AttemptStore) -> None:
        self._store = store

    def query(self, request: ext.ListAuthenticationLogRequest) -> ext.ListAuthenticationLogResponse:
        """Entries, newest first.

        Raises:
            InvalidArgument: the request names an unknown outcome or id.
        """
        wanted = AttemptFilter.parse(request)
        response = ext.ListAuthenticationLogResponse()
        if request.id:
            number = number_of(request.id, "id")
            found = self._store.find(number)
            if found is not None:
                response.items.append(make_entry(number, found))
            return response
        limit = min(request.limit or DEFAULT_LIMIT, MAX_LIMIT)
        before = number_of(request.before_id, "before_id") if request.before_id else None
        for number, record in self._store.newest_first(wanted.newest, wanted.oldest, before):
            if not wanted.wants(record):
                continue
            if len(response.items) == limit:
                response.has_more = True
                break
            response.items.append(make_entry(number, record))
        return response

    async def follow(
        self, request: ext.ListAuthenticationLogRequest
    ) -> AsyncGenerator[ext.ListAuthenticationLogResponse, None]:
        """Entries as they are written; a reader that falls far behind loses some.

        Raises:
            InvalidArgument: as `query`.
        """
        wanted = AttemptFilter.parse(request)
        queue: asyncio.Queue[tuple[int, AttemptRecord]] = asyncio.Queue(maxsize=1000)

        def receive(number: int, record: AttemptRecord) -> None:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait((number, record))

        unsubscribe = self._store.subscribe(receive)
        try:
            while True:
                number, record = await queue.get()
                if wanted.wants(record):
                    yield ext.ListAuthenticationLogResponse(items=[make_entry(number, record)])
        finally:
            unsubscribe()
