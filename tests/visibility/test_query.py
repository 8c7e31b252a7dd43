from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.store.errors import InvalidArgument
from octelium.visibility.batch import encode
from octelium.visibility.query import AccessLogReader
from octelium.visibility.record import AuditSubject
from octelium.visibility.store import LogStore
from tests.visibility.samples import record

if TYPE_CHECKING:
    from pathlib import Path


def subject(user: str, service: str, *, allowed: bool = True) -> AuditSubject:
    reason: dict[str, object] = {"type": "POLICY_MATCH" if allowed else "NO_POLICY_MATCH"}
    return AuditSubject(
        "HTTP",
        allowed,
        True,
        reason,
        service={"name": service, "uid": f"{service}-uid"},
        user={"name": user, "uid": f"{user}-uid"},
        session={"name": f"{user}-1", "uid": f"{user}-1-uid"},
        namespace={"name": "default"},
    )


SUBJECTS = [
    subject("alice", "wiki.default"),
    subject("bob", "wiki.default", allowed=False),
    subject("alice", "api.prod"),
]


@pytest.fixture
def reader(tmp_path: Path) -> AccessLogReader:
    """300 records of three workers, whose blocks overlap in time."""
    store = LogStore(tmp_path / "log.db")
    shuffled = random.Random(1)
    # One whose ids count, and two that have the same name by chance.
    for worker in ("aaaaaaaa", "bbbbbbbb" + "key" * 9, "bbbbbbbb" + "yek" * 9):
        for block in range(10):
            records = []
            for position in range(10):
                made = record(block * 10 + position, SUBJECTS[position % 3])
                made.started = 1000 + block * 10 + shuffled.random() * 15
                made.status = 200 + position
                made.target = b"/p%d" % position
                records.append(made)
            store.append(encode(worker, records))
    return AccessLogReader(store)


def ids(response: ext.ListAccessLogResponse) -> list[str]:
    return [item.metadata.id for item in response.items]


def test_pages_hold_every_entry_once_newest_first(reader: AccessLogReader) -> None:
    seen: list[str] = []
    times: list[int] = []
    request = ext.ListAccessLogRequest(limit=37)
    while True:
        page = reader.query(request)
        seen += ids(page)
        times += [item.entry.common.started_at.ToMicroseconds() for item in page.items]
        if not page.has_more:
            break
        request.before_id = seen[-1]
    assert len(seen) == len(set(seen)) == 300
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("request_", "count"),
    [
        (ext.ListAccessLogRequest(user="alice"), 210),
        (ext.ListAccessLogRequest(user="alice-uid"), 210),
        (ext.ListAccessLogRequest(service="wiki"), 210),
        (ext.ListAccessLogRequest(service="wiki.default", user="alice"), 120),
        (ext.ListAccessLogRequest(decision="denied"), 90),
        (ext.ListAccessLogRequest(reason="NO_POLICY_MATCH"), 90),
        (ext.ListAccessLogRequest(session="bob-1"), 90),
        (ext.ListAccessLogRequest(namespace="other"), 0),
        (ext.ListAccessLogRequest(http_status_min=205, http_status_max=206), 60),
        (ext.ListAccessLogRequest(path_prefix="/p3"), 30),
    ],
)
def test_filters(reader: AccessLogReader, request_: ext.ListAccessLogRequest, count: int) -> None:
    request_.limit = 1000
    response = reader.query(request_)
    assert len(response.items) == len(response.details) == count
    assert not response.has_more


def test_times_limit_the_search(reader: AccessLogReader) -> None:
    request = ext.ListAccessLogRequest(limit=1000)
    getattr(request, "from").FromSeconds(1030)
    request.to.FromSeconds(1040)
    times = [
        item.entry.common.started_at.ToMicroseconds() / 1e6 for item in reader.query(request).items
    ]
    assert times
    assert all(1030 <= moment <= 1040 for moment in times)


def test_one_entry_by_id(reader: AccessLogReader) -> None:
    wanted = ids(reader.query(ext.ListAccessLogRequest(limit=5)))[3]
    assert ids(reader.query(ext.ListAccessLogRequest(id=wanted))) == [wanted]
    assert ids(reader.query(ext.ListAccessLogRequest(id="zzzz-zzzz-24-0000-0000"))) == []


@pytest.mark.parametrize(
    "request_",
    [
        ext.ListAccessLogRequest(decision="maybe"),
        ext.ListAccessLogRequest(reason="BECAUSE"),
        ext.ListAccessLogRequest(id="x"),
        ext.ListAccessLogRequest(before_id="zzzz-zzzz-24-0000-0000"),
    ],
)
def test_bad_requests_say_what_is_wrong(
    reader: AccessLogReader, request_: ext.ListAccessLogRequest
) -> None:
    with pytest.raises(InvalidArgument):
        reader.query(request_)


async def test_following_shows_what_is_written(tmp_path: Path) -> None:
    store = LogStore(tmp_path / "log.db")
    reader = AccessLogReader(store)
    follower = reader.follow(ext.ListAccessLogRequest(user="alice"))
    waiting = asyncio.ensure_future(anext(follower))  # noqa: TID251  (awaited below)
    await asyncio.sleep(0)
    store.append(encode("aaaaaaaa", [record(1, SUBJECTS[1])]))
    store.append(encode("aaaaaaaa", [record(2, SUBJECTS[0])]))
    assert ids(await waiting) == ["aaaa-aaaa-24-0000-0002"]
    await follower.aclose()
    assert store._listeners == []


def test_every_entry_is_found_by_its_id(reader: AccessLogReader) -> None:
    everything = ids(reader.query(ext.ListAccessLogRequest(limit=300)))
    assert len(set(everything)) == 300
    for wanted in everything:
        found = reader.find(wanted)
        assert found is not None
        assert found.id == wanted
    assert "key" * 9 not in str(reader.query(ext.ListAccessLogRequest(limit=300)))


def test_one_request_by_id(reader: AccessLogReader) -> None:
    wanted = ids(reader.query(ext.ListAccessLogRequest(limit=5)))[3]
    found = reader.find(wanted)
    assert found is not None
    assert found.id == wanted
    assert reader.find("zzzz-zzzz-24-0000-0000") is None
    with pytest.raises(InvalidArgument, match="id"):
        reader.find("x")


def test_the_newest_requests(reader: AccessLogReader) -> None:
    expected = ids(reader.query(ext.ListAccessLogRequest(limit=1000)))
    assert len(expected) == 300
    assert [request.id for request in reader.newest(1000)] == expected
    assert [request.id for request in reader.newest(7)] == expected[:7]
    assert list(reader.newest(0)) == []
