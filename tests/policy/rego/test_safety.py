from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.rego import tree
from octelium.policy.rego.parser import parse
from octelium.policy.rego.resolver import Resolver
from octelium.policy.rego.safety import gives_of, needs_of, ordered_body, pattern_slots
from octelium.policy.rego.tokens import RegoSyntaxError


def body(text: str) -> tree.Body:
    resolver = Resolver(parse(f"package p\nr if {{\n{text}\n}}", ("p",)))
    return resolver.groups()["r",].definitions[0].clauses[0].body


def order(text: str) -> list[int]:
    """The lines of the statements, from 0, in the order of evaluation."""
    return [statement.line - 3 for statement in ordered_body(body(text), frozenset())]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x := 1\ny := x\nx == y", [0, 1, 2]),
        ("x = y\ny = 1", [1, 0]),
        ("not x == 1\nx = 1", [1, 0]),
        ("x > 1\ninput.a[i] = x\ni = 0", [1, 0, 2]),
        ("count([y | y = x]) == 1\nx = 1", [1, 0]),
        ("every y in [1] { y == x }\nx = 1", [1, 0]),
        ("a with input as x\na\nx = 1\na = 5", [2, 3, 0, 1]),
        ("[x, y] = z\nz = [1, w]\nw = 2", [2, 1, 0]),
        ('{"k": x} = y\ny = input.a', [1, 0]),
        ("[x, 1] = [2, y]\nx + y == 3", [0, 0, 1]),
        ('{"a": x, "b": 1} = {"a": [1, y], "b": y}\nx == [1, 1]', [0, 0, 1]),
        ("input.a[x]\ninput.b[x]", [0, 1]),
    ],
)
def test_orders(text: str, expected: list[int]) -> None:
    assert order(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "x > 1",
        "x = y",
        "not x = 1",
        "not input.a[x]",
        "x = y\ny = x",
        "x + 1 = 2",
        "count(x)",
        "[x, y] = z",
        "x[_]",
        "every y in x { y }",
        "input.a with input as x",
        "{x} = {1}",
    ],
)
def test_what_never_gets_a_value(text: str) -> None:
    with pytest.raises(RegoSyntaxError, match=r"line 3: [xyz_] is unsafe"):
        order(text)


@given(st.permutations(range(12)))
def test_chains_in_any_order(numbers: list[int]) -> None:
    lines = [f"x{number} = x{number + 1}" for number in numbers]
    found = order("\n".join([*lines, "x12 = 1"]))
    placed = {12}
    assert found[0] == len(lines)
    for line in found[1:]:
        assert numbers[line] + 1 in placed
        placed.add(numbers[line])


def test_long_bodies() -> None:
    lines = "\n".join(f"x{number}=x{number + 1}" for number in range(999)) + "\nx999=1"
    assert len(order(lines)) == 1000
    with pytest.raises(RegoSyntaxError, match="more than 2000 statements"):
        order("1;" * 2001)


def test_variables_of_terms() -> None:
    one, two, three = (tree.Local(slot, "x", 1) for slot in (1, 2, 3))
    lookup = tree.Lookup(one, (two, tree.Collection("array", (), (three,), 1)), 1)
    assert needs_of(lookup) == {1}
    assert gives_of(lookup) == {2, 3}
    assert pattern_slots(tree.Collection("object", (one,), (two,), 1)) == {2}
    assert pattern_slots(tree.Collection("set", (), (one,), 1)) == frozenset()
    assert needs_of(tree.Collection("set", (), (one,), 1)) == {1}
