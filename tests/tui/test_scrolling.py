from __future__ import annotations

import pytest

from octelium.tui.scrolling import Scrolling


class Moved(Scrolling):
    forward = ("pagedown", "space")

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.steps: list[int] = []

    def page(self) -> int:
        return self.rows

    def move(self, by: int) -> None:
        self.steps.append(by)


@pytest.mark.parametrize(
    ("key", "steps"),
    [
        ("up", [-1]), ("k", [-1]), ("down", [1]), ("j", [1]), ("pageup", [-8]), ("pagedown", [8]),
        ("space", [8]), ("home", [-1_000_000]), ("G", [1_000_000]), ("x", []), ("enter", []),
    ],
)  # fmt: skip
def test_keys(key: str, steps: list[int]) -> None:
    moved = Moved(8)
    assert moved.take_key(key) == bool(steps)
    assert moved.steps == steps


def test_a_page_is_one_row_at_least() -> None:
    moved = Moved(0)
    moved.take_key("pageup")
    assert moved.steps == [-1]
