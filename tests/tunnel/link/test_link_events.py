from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_device_that_is_set_down_is_up_again(in_link: Callable[[str], str]) -> None:
    in_link("outages.restored")


def test_other_links_are_left_alone(in_a_link: Callable[[str], str]) -> None:
    in_a_link("outages.elsewhere")
