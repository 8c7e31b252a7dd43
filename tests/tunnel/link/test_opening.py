from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_flow_gets_its_own_datagrams(in_link: Callable[[str], str]) -> None:
    in_link("flows")


def test_a_new_flow_never_gets_those_of_others(in_a_link: Callable[[str], str]) -> None:
    in_a_link("dedicated")
