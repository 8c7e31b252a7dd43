from __future__ import annotations

from octelium.authserver.openable import Openness


def test_two_ways_of_being_open() -> None:
    assert {each.value for each in Openness} == {"open", "depends"}
