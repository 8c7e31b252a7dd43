from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def test_routes_alone_are_a_lock_too(in_a_link: Callable[[str], str]) -> None:
    in_a_link("walls_of_routes")


def test_plans_come_late_and_change(in_link: Callable[[str], str]) -> None:
    in_link("plans")


def test_without_nftables_the_status_says_so(in_a_link: Callable[[str], str]) -> None:
    in_a_link("pieces.no_nftables")


def test_without_nftables_the_mtu_of_the_way_stays(in_a_link: Callable[[str], str]) -> None:
    in_a_link("path_mtu_alone")
