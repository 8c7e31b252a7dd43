from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from octelium.client.errors import ApiError
from octelium.client.watching import Change, Watching, watch
from octelium.schema.errors import Invalid
from octelium.schema.kinds import KINDS
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.client.watched import Cluster, EndedError, failure, mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

GROUPS = [KINDS["Group"]]


class Reader:
    """Reads a watch to the end that a test gives it."""

    def __init__(self, cluster: Cluster, **options: Any) -> None:
        self.pauses: list[float] = []
        self.told: list[str] = []
        self.pause: Any = lambda: None
        self.watching = Watching(
            cluster.api, GROUPS, sleep=self._sleep, warn=self.told.append, **options
        )

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.pause()

    def read(self) -> list[tuple[str, str]]:
        got: list[Change] = []
        with pytest.raises(EndedError):
            got.extend(self.watching.changes())
        return shown(got)


def shown(changes: Iterable[Change]) -> list[tuple[str, str]]:
    return [
        (change.type.value, "" if change.resource is None else change.resource.metadata.name)
        for change in changes
    ]


def test_after_a_list_come_its_changes() -> None:
    cluster = Cluster()
    cluster.put("a")
    reader = Reader(cluster)
    assert [item.metadata.name for item in reader.watching.load()] == ["a"]
    start = cluster.revision
    cluster.script = [
        [mark(start), cluster.put("a"), cluster.put("b"), cluster.delete("a"), failure("CANCELLED")]
    ]
    assert reader.read() == [("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]
    assert [request.revision for request in cluster.asked] == [start, start + 3]
    assert cluster.asked[0].kinds == ["Group"]


def test_without_a_list_the_reader_is_told_when_to_list() -> None:
    cluster = Cluster()
    cluster.script = [[mark(10), cluster.put("a")], [cluster.put("b"), mark(12)]]
    reader = Reader(cluster)
    assert reader.read() == [("RESET", ""), ("ADDED", "a"), ("ADDED", "b")]
    assert [request.revision for request in cluster.asked] == [0, 11, 12]
    assert cluster.calls == []


def test_what_was_told_before_a_break_is_not_told_again() -> None:
    cluster = Cluster()
    reader = Reader(cluster)
    reader.watching.load()
    first, second = cluster.put("a"), cluster.put("b")
    for told in (*first.changes, *second.changes):
        told.revision = 12
    first.revision = 0
    both = ext.WatchResponse(changes=[*first.changes, *second.changes], revision=12)
    cluster.script = [[mark(10), first, failure("UNAVAILABLE")], [both], []]
    assert reader.read() == [("ADDED", "a"), ("ADDED", "b")]
    assert [request.revision for request in cluster.asked] == [10, 10, 12, 12]
    assert len(reader.told) == 2


def test_outages_are_told_once() -> None:
    gone = [failure("UNAVAILABLE")]
    cluster = Cluster(gone, gone, gone, [mark(10)])
    reader = Reader(cluster)
    reader.watching.load()
    reader.read()
    assert [text.split(" (")[0] for text in reader.told] == [
        "the Cluster is away",
        "the Cluster is back",
    ]
    assert reader.pauses == [0.5, 1.0, 2.0, 5.0]


def test_a_revision_that_is_gone_is_made_up_for_by_a_list() -> None:
    cluster = Cluster()
    for name in "abc":
        cluster.put(name)
    reader = Reader(cluster)
    reader.watching.load()
    cluster.delete("a")
    cluster.put("b")
    cluster.put("d")
    cluster.script = [[failure("OUT_OF_RANGE")], [mark(cluster.revision), cluster.put("e")]]
    found = reader.read()
    assert found == [("DELETED", "a"), ("MODIFIED", "b"), ("ADDED", "d"), ("ADDED", "e")]
    assert [request.revision for request in cluster.asked] == [13, 0, 17]
    assert reader.pauses[0] == 1.0


def test_a_revision_that_is_gone_resets_who_has_not_listed() -> None:
    cluster = Cluster([mark(10), failure("OUT_OF_RANGE")], [mark(400)])
    assert Reader(cluster).read() == [("RESET", ""), ("RESET", "")]
    assert [request.revision for request in cluster.asked] == [0, 0, 400]


def test_a_cluster_that_does_not_tell_changes_is_asked_again_and_again() -> None:
    cluster = Cluster([failure("UNIMPLEMENTED")])
    cluster.tells_revision = False
    cluster.put("a")
    cluster.put("b")
    reader = Reader(cluster)
    reader.watching.load()
    steps: Iterator[Callable[[], object]] = iter(
        [
            lambda: None,
            lambda: None,
            lambda: (cluster.put("a"), cluster.delete("b"), cluster.put("c")),
            lambda: None,
            lambda: None,
        ]
    )

    def pause() -> None:
        step = next(steps, None)
        if step is None:
            raise EndedError
        step()

    reader.pause = pause
    assert reader.read() == [("DELETED", "b"), ("MODIFIED", "a"), ("ADDED", "c")]
    assert reader.pauses == [2.0, 3.0, 4.5, 2.0, 3.0, 4.5]
    assert cluster.calls == ["ListGroup"] * 6


def test_polling_goes_on_through_outages() -> None:
    cluster = Cluster([failure("UNIMPLEMENTED")])
    reader = Reader(cluster)
    steps: Iterator[Callable[[], object]] = iter(
        [
            lambda: cluster.failures.append(failure("UNAVAILABLE")),
            lambda: cluster.failures.append(failure("UNAVAILABLE")),
            lambda: None,
            lambda: cluster.put("a"),
            lambda: None,
        ]
    )

    def pause() -> None:
        step = next(steps, None)
        if step is None:
            raise EndedError
        step()

    reader.pause = pause
    assert reader.read() == [("RESET", ""), ("ADDED", "a")]
    assert len(reader.told) == 2


def test_who_may_list_but_not_watch_lists() -> None:
    cluster = Cluster([failure("PERMISSION_DENIED")])
    reader = Reader(cluster)
    reader.watching.load()

    def pause() -> None:
        if cluster.calls.count("ListGroup") > 2:
            cluster.failures.append(failure("PERMISSION_DENIED"))
        cluster.put("a")

    reader.pause = pause
    changes = reader.watching.changes()
    assert shown([next(changes), next(changes)]) == [("ADDED", "a"), ("MODIFIED", "a")]
    with pytest.raises(ApiError, match="permission_denied"):
        next(changes)


def test_a_watch_that_there_was_no_place_for_is_tried_again() -> None:
    cluster = Cluster([failure("RESOURCE_EXHAUSTED")])
    reader = Reader(cluster)
    reader.watching.load()
    assert reader.read() == []
    assert cluster.calls == ["ListGroup"] * 21
    assert [request.revision for request in cluster.asked] == [10, 10]
    assert max(reader.pauses) == 15.0


def test_a_token_that_ran_out_is_renewed_once() -> None:
    refused = [failure("UNAUTHENTICATED")]
    cluster = Cluster(refused, [mark(10), failure("UNAUTHENTICATED")], refused)
    with pytest.raises(ApiError, match="unauthenticated"):
        list(Reader(cluster).watching.changes())
    assert cluster.renewed == 2
    cluster = Cluster(refused)
    cluster.can_renew = False
    with pytest.raises(ApiError, match="unauthenticated"):
        list(Reader(cluster).watching.changes())


def test_refusals_end_it() -> None:
    cluster = Cluster([failure("INVALID_ARGUMENT")])
    reader = Reader(cluster)
    with pytest.raises(ApiError):
        list(reader.watching.changes())
    assert reader.pauses == []


def test_what_is_of_a_later_release_is_passed_over() -> None:
    cluster = Cluster()
    unknown = ext.WatchResponse(revision=11)
    unknown.changes.add(revision=11, type=ext.ChangeType__.ADDED, kind="Rocket", uid="r")
    odd = cluster.put("a")
    odd.MergeFromString(b"\x0a\x02\x10\x09")  # a change of type 9
    cluster.script = [[mark(10), unknown, odd]]
    reader = Reader(cluster)
    reader.watching.load()
    assert reader.read() == []


def test_pages_that_move_while_they_are_read_lose_nothing() -> None:
    cluster = Cluster()
    for name in "abcdef":
        cluster.put(name)
    cluster.page = 2
    told: list[ext.WatchResponse] = []

    def before_page(number: int) -> None:
        if number == 1 and not told:
            told.append(cluster.delete("a"))  # `c` moves to the page that was read
        if number == 1 and len(told) == 1 and cluster.calls.count("ListGroup") > 4:
            told.append(cluster.delete("b"))
        if number == 1 and len(told) == 2 and cluster.calls.count("ListGroup") > 7:
            told.append(cluster.put("b"))

    cluster.before_page = before_page
    reader = Reader(cluster)
    have = {item.metadata.name for item in reader.watching.load()}
    assert cluster.calls == ["ListGroup"] * len(cluster.calls)
    cluster.script = [[mark(cluster.revision), *told]]
    for kind, name in reader.read():
        if kind == "DELETED":
            have.discard(name)
        else:
            have.add(name)
    assert have == set(cluster.items)


def test_filters_are_those_of_lists() -> None:
    cluster = Cluster([mark(10)])
    sessions = [KINDS["Session"]]
    watching = Watching(cluster.api, sessions, {"user": "ann"}, sleep=lambda _seconds: None)
    with pytest.raises(EndedError):
        list(watching.changes())
    assert cluster.asked[0].user_ref.name == "ann"
    with pytest.raises(Invalid, match="cannot be listed by user"):
        Watching(cluster.api, GROUPS, {"user": "ann"}).load()


def test_a_watch_is_stopped_from_another_thread() -> None:
    opened = threading.Event()
    stopped = threading.Event()

    def wait() -> None:
        opened.set()
        assert stopped.wait(60)
        raise failure("CANCELLED")

    cluster = Cluster([mark(10), wait])
    watching = Watching(cluster.api, GROUPS)
    got: list[Change] = []
    thread = threading.Thread(target=lambda: got.extend(watching.changes()))
    thread.start()
    assert opened.wait(60)
    watching.stop()
    stopped.set()
    thread.join(60)
    assert not thread.is_alive()
    assert shown(got) == [("RESET", "")]


async def test_changes_are_awaited() -> None:
    cluster = Cluster()
    cluster.script = [[mark(10), cluster.put("a"), cluster.put("b")], [failure("INVALID_ARGUMENT")]]
    got: list[Change] = []

    async def read() -> None:
        async with aclosing(watch(cluster.api, GROUPS)) as changes:
            async for change in changes:
                got.append(change)  # noqa: PERF401  (it ends with an error)

    with pytest.raises(ApiError, match="invalid_argument"):
        await asyncio.wait_for(read(), 60)
    assert shown(got) == [("RESET", ""), ("ADDED", "a"), ("ADDED", "b")]


async def test_who_awaits_no_more_ends_the_watch() -> None:
    cluster = Cluster()
    endless = [mark(10)] + [cluster.put("a") for _ in range(5000)]
    cluster.script = [endless]
    async with aclosing(watch(cluster.api, GROUPS)) as changes:
        async for change in changes:
            if change.revision > 20:
                break
    async with asyncio.timeout(60):
        while any(thread.name == "watch" for thread in threading.enumerate()):
            await asyncio.sleep(0.01)
