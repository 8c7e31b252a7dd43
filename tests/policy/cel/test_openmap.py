from __future__ import annotations

import pytest

from octelium.policy.cel.errors import UnknownDataError
from octelium.policy.cel.openmap import OpenMap, expectation, looks_at_unknown
from octelium.policy.cel.program import compile_program, new_frame


def test_what_is_known_of_each_key() -> None:
    some = OpenMap({"a": 1}, present={"b": ()}, maybe={"c": ()}, absent=("d",))
    assert some["a"] == 1
    assert "a" in some
    assert "b" in some
    assert "d" not in some
    for key in ("b", "c", "e"):
        with pytest.raises(UnknownDataError):
            some[key]
        with pytest.raises(UnknownDataError):
            some.get(key)
    for key in ("c", "e"):
        with pytest.raises(UnknownDataError):
            assert key in some
    with pytest.raises(KeyError):
        some["d"]
    assert some.get("d", 7) == 7


def test_a_closed_map_has_no_other_keys() -> None:
    some = OpenMap({"a": 1}, maybe={"c": ()}, open=False)
    assert "e" not in some
    with pytest.raises(UnknownDataError):
        assert "c" in some


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ctx.a.b == 'x'", True),
        ("ctx.a.c == 'x'", None),
        ("has(ctx.a.c)", True),
        ("has(ctx.a.d)", None),
        ("has(ctx.z)", False),
        ("ctx.z.y == 'x'", False),
        ("ctx.a.c == 'x' || ctx.a.b == 'x'", True),
        ("ctx.a.c == 'x' && ctx.a.b == 'y'", False),
        ("ctx.a.c == 'x' && ctx.a.b == 'x'", None),
        ("'b' in ctx.a", True),
        ("'d' in ctx.a", None),
    ],
)
def test_expressions_meet_what_is_unknown(text: str, expected: bool | None) -> None:
    ctx = OpenMap({"a": OpenMap({"b": "x"}, present={"c": ()})}, open=False)
    program = compile_program(text)
    assert not looks_at_unknown(program.reads, ctx)
    if expected is None:
        with pytest.raises(UnknownDataError):
            program.test(new_frame(ctx))
    else:
        assert program.test(new_frame(ctx)) is expected


@pytest.mark.parametrize("text", ["size(ctx.a) == 1", "ctx == {}", "ctx[ctx.b] == 1"])
def test_a_look_at_the_whole_is_told(text: str) -> None:
    ctx = OpenMap({"a": OpenMap(), "b": "a"}, open=False)
    assert looks_at_unknown(compile_program(text).reads, ctx)


def test_expectations() -> None:
    ctx = OpenMap(
        {"a": OpenMap({}, present={"b": ("x", "y")}, maybe={"c": (True,)}), "k": {"m": 1}},
        maybe={"d": ()},
        open=False,
    )
    assert expectation(("a", "b"), ctx) == (("x", "y"), 2)
    assert expectation(("a", "c"), ctx) == ((True,), 1)
    assert expectation(("a", "b", "z"), ctx) == ((), 2)
    assert expectation(("d", "x", "y"), ctx) == ((), 0)
    for known in ("a",), ("k", "m"), ("k", "m", "z"), ("z",):
        assert expectation(known, ctx) is None
