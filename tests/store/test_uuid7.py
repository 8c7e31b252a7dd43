from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from octelium.store.uuid7 import uuid7

INSTANTS = st.floats(0, 2**38, allow_nan=False)


@given(INSTANTS)
def test_it_is_a_uuid_of_version_seven(at: float) -> None:
    value = uuid.UUID(uuid7(at))
    assert value.version == 7
    assert value.variant == uuid.RFC_4122
    assert value.int >> 80 == int(at * 1000) & (1 << 48) - 1


@given(INSTANTS, INSTANTS)
def test_later_ones_sort_behind(first: float, second: float) -> None:
    if int(first * 1000) < int(second * 1000):
        assert uuid7(first) < uuid7(second)


def test_no_two_are_equal() -> None:
    assert len({uuid7(1.0) for _ in range(1000)}) == 1000
