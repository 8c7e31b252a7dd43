from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from octelium.replica.arrival import FrontDoor, Tunnel


def test_arrivals_are_told_apart_by_type_and_can_key_a_memo() -> None:
    assert FrontDoor("192.0.2.1", 4711) == FrontDoor("192.0.2.1", 4711)
    assert (
        len({FrontDoor("192.0.2.1", 1), Tunnel("192.0.2.1", "1"), Tunnel("s", "100.65.0.1")}) == 3
    )


def test_nothing_can_turn_one_arrival_into_another() -> None:
    arrival = Tunnel("session-uid", "100.65.0.1")
    with pytest.raises(FrozenInstanceError):
        arrival.session_uid = "other"
