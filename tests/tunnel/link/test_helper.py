from __future__ import annotations

from typing import TYPE_CHECKING

from tests.tunnel.link import worlds

if TYPE_CHECKING:
    from collections.abc import Callable


def test_packets_reach_sockets_and_answers_come_back(in_link: Callable[[str], str]) -> None:
    before = worlds.host_state()
    assert in_link("works").strip() == "active"
    assert worlds.host_state() == before


def test_killed_and_replaced_all_goes_on(in_link: Callable[[str], str]) -> None:
    before = worlds.host_state()
    in_link("replaced")
    assert worlds.host_state() == before


def test_only_listening_sockets_of_the_namespace_are_taken_back(
    in_a_link: Callable[[str], str],
) -> None:
    in_a_link("adopted")


def test_nonsense_is_hung_up_on(in_a_link: Callable[[str], str]) -> None:
    in_a_link("nonsense")


def test_other_users_are_hung_up_on(as_root: Callable[[str], str]) -> None:
    as_root("pieces.other_user")


def test_a_plan_that_cannot_be_ends_the_process_with_the_reason(
    in_a_link: Callable[[str], str],
) -> None:
    in_a_link("pieces.unusable")
