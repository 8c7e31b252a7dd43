from __future__ import annotations

from octelium.schema.kinds import KINDS
from octelium.store.parts import OWNERS
from octelium.store.retention import Retention


def test_what_changes_with_every_sign_in_is_kept_for_the_window_only() -> None:
    floors = Retention(window=100).floors(1000, 5)
    assert floors["Session"] == floors["Device"] == floors["Authenticator"] == 900
    assert floors["Service"] == floors["Policy"] == floors["User"] == 5
    assert all(floors[kind] == 900 for kind in OWNERS)
    assert set(floors) == set(KINDS) | set(OWNERS)


def test_the_window_is_kept_whatever_its_age() -> None:
    floors = Retention(window=100).floors(1000, 990)
    assert max(floors.values()) == 900


def test_nothing_is_forgotten_before_the_window_is_full() -> None:
    assert set(Retention(window=100).floors(50, 0).values()) == {0}
