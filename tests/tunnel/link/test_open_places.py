from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.link import open_places
from octelium.tunnel.link.open_places import OpenPlace, OpenPlacesError

if TYPE_CHECKING:
    from collections.abc import Callable

PLACES = st.frozensets(
    st.builds(
        OpenPlace,
        st.sampled_from([6, 17]),
        st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16),
        st.integers(1, 65535),
    ),
    max_size=20,
)


def test_a_port_of_one_address_is_closed_at_others(in_link: Callable[[str], str]) -> None:
    in_link("lists.begins")


def test_answers_need_no_place(in_a_link: Callable[[str], str]) -> None:
    in_a_link("lists.answers")


def test_what_somebody_else_takes_away_is_put_back(as_root: Callable[[str], str]) -> None:
    as_root("lists.broken")


def test_thousands_of_places(in_a_link: Callable[[str], str]) -> None:
    in_a_link("lists.many")


@given(PLACES)
def test_lists_come_back(places: frozenset[OpenPlace]) -> None:
    descriptor = open_places.write(places)
    try:
        assert open_places.read(descriptor) == places
    finally:
        os.close(descriptor)


@given(st.binary(max_size=100))
def test_any_bytes_are_refused_or_a_list(data: bytes) -> None:
    with contextlib.suppress(OpenPlacesError):
        assert sorted(open_places.decode(data)) == sorted(set(open_places.decode(data)))
        assert len(open_places.encode(open_places.decode(data))) <= len(data)


@pytest.mark.parametrize(
    "place",
    [OpenPlace(1, bytes(4), 80), OpenPlace(6, bytes(5), 80), OpenPlace(6, bytes(4), 0)],
)
def test_what_is_no_place_is_refused(place: OpenPlace) -> None:
    with pytest.raises(OpenPlacesError):
        open_places.decode(open_places.encode([place]))


def test_what_is_no_list_is_refused() -> None:
    reading, writing = os.pipe()
    with pytest.raises(OSError, match="not a file"):
        open_places.read(reading)
    os.close(reading)
    os.close(writing)
    descriptor = os.memfd_create("long")
    os.ftruncate(descriptor, 1 << 30)
    with pytest.raises(OpenPlacesError, match="bytes"):
        open_places.read(descriptor)
    os.close(descriptor)
