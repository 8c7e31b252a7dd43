from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client.errors import ApiError
from octelium.client.following import follow

if TYPE_CHECKING:
    from collections.abc import Iterator


class EndedError(Exception):
    """Ends the endless."""


class Script:
    """Connections that happen one after the other: their entries, then perhaps an error."""

    def __init__(self, *connections: tuple[str, str]) -> None:
        self.connections = list(connections)
        self.pauses: list[float] = []
        self.told: list[str] = []

    def connect(self) -> Iterator[str]:
        if not self.connections:
            raise EndedError
        entries, code = self.connections.pop(0)
        if not entries and code:
            raise ApiError(code, "gone", "/log")
        return self._entries(entries, code)

    def _entries(self, entries: str, code: str) -> Iterator[str]:
        yield from entries
        if code:
            raise ApiError(code, "gone", "/log")

    def run(self) -> list[str]:
        got: list[str] = []
        with pytest.raises(EndedError):
            got.extend(follow(self.connect, sleep=self.pauses.append, warn=self.told.append))
        return got


def test_a_stream_that_breaks_is_made_again() -> None:
    script = Script(("ab", "UNAVAILABLE"), ("", "UNAVAILABLE"), ("c", ""), ("d", ""))
    assert script.run() == ["a", "b", "c", "d"]
    assert [text.split(" (")[0] for text in script.told] == [
        "the Cluster is away",
        "the Cluster is back",
    ]


def test_good_news_is_no_warning() -> None:
    script, notes = Script(("a", "UNAVAILABLE"), ("b", "")), list[str]()
    tell = {"warn": script.told.append, "note": notes.append}
    with pytest.raises(EndedError):
        list(follow(script.connect, sleep=script.pauses.append, **tell))
    assert notes == ["the Cluster is back"]
    assert len(script.told) == 1


def test_pauses_grow_until_something_comes() -> None:
    outage = [("", "UNAVAILABLE")] * 5
    script = Script(*outage, ("a", "CANCELLED"), ("", "ABORTED"))
    script.run()
    assert script.pauses == [0.5, 1.0, 2.0, 5.0, 5.0, 0.5, 1.0]


def test_a_refusal_ends_it() -> None:
    script = Script(("a", "PERMISSION_DENIED"))
    entries = follow(script.connect, sleep=script.pauses.append, warn=script.told.append)
    assert next(entries) == "a"
    with pytest.raises(ApiError):
        next(entries)
    assert not script.pauses
    assert not script.told
