from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.tunnel.link import addresses

if TYPE_CHECKING:
    from collections.abc import Callable


def test_addresses_and_routes_become_as_wanted(in_link: Callable[[str], str]) -> None:
    in_link("pieces.routing")


def test_what_the_host_uses_is_found(in_a_link: Callable[[str], str]) -> None:
    in_a_link("pieces.overlaps")


def test_ranges_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="host bits"):
        addresses.overlapping(["100.64.0.1/16"])


def test_next_hops_of_others(in_a_link: Callable[[str], str]) -> None:
    in_a_link("pieces.next_hops")
