from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.tasks import spawn
from octelium.schema.jsonform import to_json
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.store.errors import InvalidArgument
from octelium.visibility.attempt import AttemptRecord
from octelium.visibility.attempt_query import AuthenticationLogReader, entry_id, number_of
from octelium.visibility.attempt_store import AttemptStore
from tests.visibility.test_attempt import FULL

if TYPE_CHECKING:
    from pathlib import Path

Request = ext.ListAuthenticationLogRequest


@pytest.fixture
def store(tmp_path: Path) -> AttemptStore:
    return AttemptStore(tmp_path / "log.db", clock=lambda: 200.0)


@pytest.fixture
def reader(store: AttemptStore) -> AuthenticationLogReader:
    return AuthenticationLogReader(store)


def fill(store: AttemptStore, count: int, **more: Any) -> None:
    for number in range(count):
        values = {"at": float(number), "way": "passkey", "outcome": "succeeded", **more}
        store.append(AttemptRecord(**values))


def times(reply: ext.ListAuthenticationLogResponse) -> list[int]:
    return [item.at.seconds for item in reply.items]


def test_an_entry_says_all_that_is_kept(
    store: AttemptStore, reader: AuthenticationLogReader
) -> None:
    store.append(FULL)
    (entry,) = reader.query(Request()).items
    assert to_json(entry) == {
        "id": "auth-1",
        "at": "1970-01-01T00:00:01.500Z",
        "way": "identity provider",
        "outcome": "refused",
        "code": "PERMISSION_DENIED",
        "reason": "no",
        "user": {"name": "ann", "uid": "u"},
        "identityProvider": {"name": "okta", "uid": "p"},
        "identifier": "ann",
        "email": "ann@example.com",
        "clientAddress": "192.0.2.1",
        "userAgent": "Firefox",
        "operation": "callback",
    }


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        (Request(), True),
        (Request(user="ann"), True),
        (Request(user="u"), True),
        (Request(user="bob"), False),
        (Request(identity_provider="okta", outcome="refused"), True),
        (Request(credential="x"), False),
        (Request(session="x"), False),
        (Request(authenticator="x"), False),
        (Request(outcome="succeeded"), False),
        (Request(way="identity provider"), True),
        (Request(way="passkey"), False),
        (Request(client_address="192.0.2.1"), True),
        (Request(client_address="192.0.2.2"), False),
    ],
)
def test_filters(
    store: AttemptStore, reader: AuthenticationLogReader, request_: Request, found: bool
) -> None:
    store.append(FULL)
    assert bool(reader.query(request_).items) == found


def test_times(store: AttemptStore, reader: AuthenticationLogReader) -> None:
    fill(store, 10)
    request = Request()
    getattr(request, "from").FromSeconds(3)
    request.to.FromSeconds(5)
    assert times(reader.query(request)) == [5, 4, 3]


def test_pages(store: AttemptStore, reader: AuthenticationLogReader) -> None:
    fill(store, 10)
    first = reader.query(Request(limit=4))
    assert times(first) == [9, 8, 7, 6]
    assert first.has_more
    second = reader.query(Request(limit=6, before_id=first.items[-1].id))
    assert times(second) == [5, 4, 3, 2, 1, 0]
    assert not second.has_more
    fill(store, 120)
    assert len(reader.query(Request()).items) == 100


def test_one_entry(store: AttemptStore, reader: AuthenticationLogReader) -> None:
    fill(store, 3)
    (entry,) = reader.query(Request(id="auth-2")).items
    assert entry.at.seconds == 1
    assert not reader.query(Request(id="auth-9")).items


@pytest.mark.parametrize(
    "request_",
    [
        Request(id="x"),
        Request(id="auth-0"),
        Request(id="auth-99999999999999999999"),
        Request(before_id="auth-x"),
        Request(outcome="allowed"),
    ],
)
async def test_requests_that_cannot_be_right(
    reader: AuthenticationLogReader, request_: Request
) -> None:
    with pytest.raises(InvalidArgument):
        reader.query(request_)
    if request_.outcome:
        with pytest.raises(InvalidArgument):
            await anext(reader.follow(request_))


@given(st.integers(min_value=1, max_value=10**18 - 1))
def test_ids_are_read_as_they_are_written(number: int) -> None:
    assert number_of(entry_id(number), "id") == number


async def test_following(store: AttemptStore, reader: AuthenticationLogReader) -> None:
    stream = reader.follow(Request(outcome="refused"))
    first = spawn(anext(stream), name="first")
    await asyncio.sleep(0)
    fill(store, 2)
    fill(store, 1, outcome="refused")
    reply = await first
    assert [item.outcome for item in reply.items] == ["refused"]
    await stream.aclose()
    assert not store._listeners


async def test_a_slow_reader_loses_the_oldest(
    store: AttemptStore, reader: AuthenticationLogReader
) -> None:
    stream = reader.follow(Request())
    first = spawn(anext(stream), name="first")
    await asyncio.sleep(0)
    fill(store, 1)
    await first
    fill(store, 1100)
    reply = await anext(stream)
    assert reply.items[0].id == "auth-102"
    await stream.aclose()
