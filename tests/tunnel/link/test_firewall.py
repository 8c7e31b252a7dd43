from __future__ import annotations

from typing import TYPE_CHECKING

from tests.tunnel.link import worlds

if TYPE_CHECKING:
    from collections.abc import Callable


def test_nothing_gets_through_but_what_the_plan_says(in_link: Callable[[str], str]) -> None:
    before = worlds.host_state()
    in_link("walls")
    assert worlds.host_state() == before


def test_errors_are_believed_about_oneself_alone(in_link: Callable[[str], str]) -> None:
    in_link("errors")


def test_fragments_are_put_together_or_come_to_nothing(in_link: Callable[[str], str]) -> None:
    in_link("fragments")


def test_fragments_take_bounded_memory(in_link: Callable[[str], str]) -> None:
    in_link("fragment_flood")


def test_a_client_reaches_services_and_is_not_reached(in_link: Callable[[str], str]) -> None:
    in_link("client")
