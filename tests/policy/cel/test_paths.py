from __future__ import annotations

from typing import Any

import pytest

from octelium.policy.cel.errors import CelError, MissingDataError
from octelium.policy.cel.paths import probe, slot_path, walk
from octelium.policy.cel.values import ABSENT, LOCALS


def select(value: object, *fields: str) -> object:
    frame: list[Any] = [None] * (LOCALS + 1)
    frame[LOCALS] = value
    return slot_path(LOCALS, fields)(frame)


def nested(fields: tuple[str, ...], leaf: object) -> Any:
    for name in reversed(fields):
        leaf = {name: leaf}
    return leaf


LENGTHS = [tuple("abcdefg"[:length]) for length in range(1, 8)]


@pytest.mark.parametrize("fields", LENGTHS)
def test_every_length(fields: tuple[str, ...]) -> None:
    assert select(nested(fields, "leaf"), *fields) == "leaf"
    assert walk(nested(fields, "leaf"), fields) == "leaf"


@pytest.mark.parametrize("fields", LENGTHS)
@pytest.mark.parametrize("stop", range(7))
def test_missing_at_every_depth(fields: tuple[str, ...], stop: int) -> None:
    value = nested(fields[: min(stop, len(fields) - 1)], {})
    with pytest.raises(MissingDataError):
        select(value, *fields)


@pytest.mark.parametrize("fields", LENGTHS)
@pytest.mark.parametrize("blocking", [None, ABSENT])
def test_null_and_absent_have_no_fields_but_are_no_mistake(
    fields: tuple[str, ...], blocking: object
) -> None:
    with pytest.raises(MissingDataError):
        select(nested(fields[:-1], blocking), *fields)


@pytest.mark.parametrize("fields", LENGTHS)
@pytest.mark.parametrize("blocking", ["text", 1.0, True, [], b"bytes"])
def test_fields_of_scalars_are_a_mistake(fields: tuple[str, ...], blocking: object) -> None:
    with pytest.raises(CelError) as caught:
        select(nested(fields[:-1], blocking), *fields)
    assert not isinstance(caught.value, MissingDataError)


@pytest.mark.parametrize("fields", LENGTHS)
def test_probing(fields: tuple[str, ...]) -> None:
    def found(value: object) -> object:
        frame: list[Any] = [None] * (LOCALS + 1)
        frame[LOCALS] = value
        return probe(LOCALS, fields)(frame)

    assert found(nested(fields, "leaf")) == "leaf"
    for stop in range(len(fields)):
        assert found(nested(fields[:stop], {})) is ABSENT
    with pytest.raises(MissingDataError):
        found(nested(fields[:-1], None))
    with pytest.raises(CelError, match="has no field"):
        found(nested(fields[:-1], "text"))
