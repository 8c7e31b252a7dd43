from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

from octelium.client.errors import ApiError, ClientError
from octelium.tui.feeds import Feed, Stopped, through_outages, until_stopped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.client.api import Authorized


def test_items_are_taken_once() -> None:
    feed: Feed[int] = Feed(lambda _: iter([1, 2]), name="t").start()
    assert feed.join(60)
    assert feed.take() == [1, 2]
    assert feed.take() == []


def test_older_items_make_room_and_are_counted() -> None:
    feed: Feed[int] = Feed(lambda _: iter(range(10)), name="t", most=3).start()
    assert feed.join(60)
    assert feed.take() == [7, 8, 9]
    assert feed.lost == 7


def test_a_refusal_is_remembered() -> None:
    def produce(_feed: Feed[int]) -> Iterator[int]:
        yield 1
        raise ApiError("PERMISSION_DENIED", "no", "")

    feed = Feed(produce, name="t").start()
    assert feed.join(60)
    assert isinstance(feed.problem, ApiError)


def test_a_bug_is_told_and_not_lost() -> None:
    feed: Feed[Any] = Feed(lambda _: iter([1 / 0]), name="t").start()
    assert feed.join(60)
    assert isinstance(feed.problem, ClientError)
    assert "ZeroDivisionError" in str(feed.problem)


def test_stopping_ends_a_pause_and_cancels_what_is_open() -> None:
    cancelled = threading.Event()
    began = threading.Event()

    def produce(feed: Feed[int]) -> Iterator[int]:
        feed.on_stop(cancelled.set)
        began.set()
        feed.pause(60)
        yield 1

    feed = Feed(produce, name="t").start()
    assert began.wait(60)
    feed.stop()
    assert feed.join(60)
    assert cancelled.is_set()
    assert feed.problem is None
    assert feed.take() == []
    late = threading.Event()
    feed.on_stop(late.set)
    assert late.is_set()


class Conversation:
    def __init__(self, items: list[Any]) -> None:
        self._items = items
        self.cancelled = False

    def __iter__(self) -> Iterator[Any]:
        for one in self._items:
            if isinstance(one, Exception):
                raise one
            yield one

    def cancel(self) -> None:
        self.cancelled = True


class Service:
    def __init__(self, *conversations: Conversation) -> None:
        self.begun = list(conversations)
        self.renewed: list[str] = []

    def converse(self, _method: str, _requests: Any) -> tuple[str, Conversation]:
        return "token", self.begun.pop(0)

    def renew(self, token: str) -> bool:
        self.renewed.append(token)
        return True


def test_a_stream_is_renewed_once_and_ends_with_its_feed() -> None:
    feed: Feed[int] = Feed(lambda _: iter(()), name="t")
    second = Conversation([2])
    service = Service(Conversation([1, ApiError("UNAUTHENTICATED", "", "")]), second)
    bound = until_stopped(cast("Authorized", service), feed)
    assert list(bound.stream("WatchAccessLog", cast("Any", None))) == [1, 2]
    assert service.renewed == ["token"]
    feed.stop()
    assert second.cancelled


def test_the_end_of_a_stopped_stream_is_no_error() -> None:
    feed: Feed[int] = Feed(lambda _: iter(()), name="t")
    service = Service(Conversation([ApiError("CANCELLED", "", "")]))
    bound = until_stopped(cast("Authorized", service), feed)
    feed.stop()
    with pytest.raises(Stopped):
        list(bound.stream("WatchAccessLog", cast("Any", None)))


def test_a_stream_begins_before_it_is_read() -> None:
    """What comes between a list and the first look at a stream must not be lost."""
    feed: Feed[int] = Feed(lambda _: iter(()), name="t")
    service = Service(Conversation([1]))
    stream = until_stopped(cast("Authorized", service), feed).stream("W", cast("Any", None))
    assert service.begun == []
    assert list(stream) == [1]


def test_an_answer_without_items_is_one() -> None:
    feed: Feed[int] = Feed(lambda _: iter([None]), name="t")
    before = feed.has_answered
    feed.start()
    assert feed.join(60)
    assert (before, feed.has_answered) == (False, True)
    assert feed.take() == []


def test_reading_begins_anew_after_outages(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []
    told: list[str] = []

    def produce() -> Iterator[int | None]:
        tries.append("try")
        if len(tries) < 3:
            raise ApiError("UNAVAILABLE", "nobody is there", "")
        yield None
        yield 7
        raise ApiError("PERMISSION_DENIED", "no", "")

    feed: Feed[int] = Feed(lambda own: through_outages(produce, own), name="t")
    monkeypatch.setattr(feed, "pause", lambda _seconds: None)
    monkeypatch.setattr(feed, "warn", told.append)
    feed.start()
    assert feed.join(60)
    assert feed.take() == [7]
    assert feed.has_answered
    assert ["away" in text for text in told] == [True, False]
    assert isinstance(feed.problem, ApiError)
    assert feed.problem.code == "PERMISSION_DENIED"
