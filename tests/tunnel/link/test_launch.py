from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def test_it_is_ready_soon_and_ends_with_its_parent(in_link: Callable[[str], str]) -> None:
    in_link("pieces.orphaned")
