from __future__ import annotations

import pytest

from octelium.policy.cel.ast import Call, Const, ListNode, MapNode
from octelium.policy.cel.compiler import compile_node
from octelium.policy.cel.environment import check
from octelium.policy.cel.errors import CelError, MissingDataError
from octelium.policy.cel.openmap import OpenMap
from octelium.policy.cel.partial import (
    Failed,
    Known,
    Open,
    elements_of,
    is_missing,
    lifted,
    literal_of,
    with_values,
)
from octelium.policy.cel.program import new_frame
from octelium.policy.cel.unparse import unparse
from octelium.policy.cel.values import Duration, Timestamp, UInt

NODE = check("ctx.a").root


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x", '"x"'),
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (1.0, "1.0"),
        (UInt(1), "1u"),
        (b"x", 'b"x"'),
        (Timestamp(0), 'timestamp("1970-01-01T00:00:00Z")'),
        (Duration(1_500_000_000), 'duration("1.5s")'),
        (["a", 1.0], '["a", 1.0]'),
        ([], "[]"),
        (["a"] * 33, "ctx.a"),
        ([["a"]], "ctx.a"),
        ({"a": 1}, "ctx.a"),
    ],
)
def test_short_values_stand_as_literals(value: object, expected: str) -> None:
    node = lifted(Known(value, NODE))
    assert unparse(node) == expected
    if expected != "ctx.a":
        assert compile_node(node)(new_frame({})) == value


def test_what_is_no_short_value_stands_as_it_is() -> None:
    assert lifted(Known("x", NODE), path=True) is NODE
    assert lifted(Open(NODE)) is NODE
    assert lifted(Failed(CelError("no"), NODE)) is NODE
    assert literal_of(Known({"a": 1}, NODE)) == Const({"a": 1})
    assert literal_of(Known(OpenMap(), NODE)) is NODE
    assert literal_of(Open(NODE)) is NODE


def test_whole_and_missing() -> None:
    assert Known({}, NODE).whole
    assert not Known(OpenMap(), NODE).whole
    assert is_missing(Failed(MissingDataError("x"), NODE))
    assert not is_missing(Failed(CelError("x"), NODE))


def test_elements_are_named_by_where_they_stand() -> None:
    elements = elements_of(Known(["x", "y"], NODE))
    assert elements is not None
    assert [(each.value, unparse(each.node)) for each in elements] == [
        ("x", "ctx.a[0]"),
        ("y", "ctx.a[1]"),
    ]
    literal = check("['x', ctx.b]").root
    elements = elements_of(Known(["x", "y"], literal))
    assert elements is not None
    assert [unparse(each.node) for each in elements] == ['"x"', "ctx.b"]
    keys = elements_of(Known({"k": 1, 2: 3}, NODE))
    assert keys is not None
    assert [each.value for each in keys] == ["k", 2]
    assert elements_of(Known("text", NODE)) is None


def test_values_in_the_places_of_operands() -> None:
    one, two = Known("x", NODE), Known(["y"], NODE)
    member = check("ctx.a.startsWith(ctx.b)").root
    assert with_values(member, [one, two]) == Call("startsWith", Const("x"), (Const(["y"]),))
    plain = check("ctx.a in ctx.b").root
    assert with_values(plain, [one, two]) == Call("@in", None, (Const("x"), Const(["y"])))
    assert with_values(ListNode((NODE, NODE)), [one, two]) == ListNode((Const("x"), Const(["y"])))
    assert with_values(MapNode(((NODE, NODE),)), [one, two]) == MapNode(
        ((Const("x"), Const(["y"])),)
    )
