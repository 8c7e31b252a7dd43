from __future__ import annotations

from octelium.cli import exits


def test_success_is_zero_and_nothing_else() -> None:
    codes = {name: value for name, value in vars(exits).items() if name.isupper()}
    assert [name for name, value in codes.items() if value == 0] == ["OK"]
    assert all(0 <= value < 256 for value in codes.values())


def test_diff_tells_a_difference_from_trouble() -> None:
    assert exits.DIFFERENT == 1
    assert exits.UNKNOWN > exits.DIFFERENT
    assert exits.UNKNOWN != exits.USAGE
