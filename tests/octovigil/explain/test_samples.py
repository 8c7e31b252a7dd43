"""Sample values."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.octovigil.explain.samples import beside, matching, others, sized


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (("http", "method"), ["GET", "POST"]),
        (("http", "path"), ["/"]),
        (("spec", "state"), ["ACTIVE"]),
        (("status", "type"), ["CLIENT"]),
        (("x",), [True]),
        (("x",), [1.0, 0.0]),
        (("x",), ["x"]),
        (("x",), [[]]),
        (("x",), [{}]),
        (("x",), [None]),
        (("x",), []),
    ],
)
def test_other_values_are_others(path: tuple[str, ...], values: list[Any]) -> None:
    made = others(path, values)
    assert made
    assert not any(type(one) is type(two) and one == two for one in made for two in values)
    if values and values[0] is not None:
        kinds = (int, float) if isinstance(values[0], float) else (type(values[0]),)
        assert all(isinstance(value, kinds) for value in made)


@given(st.text(max_size=8), st.one_of(st.none(), st.text(max_size=8)))
def test_texts_that_match(pattern: str, current: str | None) -> None:
    for function, test in (
        ("startsWith", str.startswith),
        ("endsWith", str.endswith),
        ("contains", str.__contains__),
    ):
        assert all(test(str(text), pattern) for text in matching(function, pattern, current))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^/admin/", "/admin/"),
        ("^/api/v[0-9]+$", "/api/v0"),
        ("\\.txt$", ".txt"),
        ("^/a.b.*c.+$", "/axbcx"),
        ("^/x\\$$", "/x$"),
        ("a|b", None),
        ("(a)", None),
        ("\\d", None),
        ("a{2}", None),
    ],
)
def test_plain_patterns(pattern: str, text: str | None) -> None:
    made = matching("matches", pattern, "")
    assert made == ([] if text is None else [text])
    if text is not None:
        assert re.search(pattern, text)


@pytest.mark.parametrize("operator", ["_<_", "_<=_", "_>_", "_>=_"])
@pytest.mark.parametrize("want", [True, False])
@given(st.one_of(st.integers(-9, 9), st.floats(-9, 9), st.text(min_size=1, max_size=3)))
def test_values_beside_a_limit(operator: str, want: bool, limit: Any) -> None:
    tests = {
        "_<_": lambda a, b: a < b,
        "_<=_": lambda a, b: a <= b,
        "_>_": lambda a, b: a > b,
        "_>=_": lambda a, b: a >= b,
    }
    assert any(
        tests[operator](value, limit) is want for value in beside(limit, operator, want=want)
    )


def test_nothing_is_beside_what_has_no_order() -> None:
    assert list(beside(None, "_<_", want=True)) == []
    assert set(beside(True, "_<_", want=True)) == {True, False}


@given(st.integers(0, 20), st.one_of(st.text(), st.lists(st.text()), st.none()))
def test_values_of_a_size(size: int, current: Any) -> None:
    (made,) = sized(current, size)
    assert isinstance(made, str | list)
    assert len(made) == size


def test_maps_of_a_size_and_sizes_that_are_none() -> None:
    assert sized({"a": 1, "b": 2}, 1) == [{"a": 1}]
    assert sized({"a": 1}, 3) == [{"a": 1, "x-0": "x", "x-1": "x"}]
    assert sized("", -1) == []
    assert sized("", 10**9) == []
