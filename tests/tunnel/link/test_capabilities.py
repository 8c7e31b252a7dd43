from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def test_what_is_dropped_does_not_come_back(as_root: Callable[[str], str]) -> None:
    as_root("pieces.dropping")


def test_nothing_to_drop_is_no_error(in_link: Callable[[str], str]) -> None:
    in_link("pieces.dropping_nothing")
