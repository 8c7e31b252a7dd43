from __future__ import annotations

import pytest

from octelium.policy.rego import tree
from octelium.policy.rego.compiler import Compiler
from octelium.policy.rego.needed import UNDEFINED, RegoBudgetError
from octelium.policy.rego.tokens import RegoSyntaxError
from tests.policy.rego.evaluation import result

X, Y = tree.Local(2, "x", 1), tree.Local(3, "y", 1)


def test_slots_are_fresh() -> None:
    compiler = Compiler(7)
    assert (compiler.fresh(), compiler.fresh(), compiler.slots) == (7, 8, 9)


def test_a_variable_without_a_value_is_never_read() -> None:
    compiler = Compiler(4)
    with pytest.raises(RegoSyntaxError, match="x is unsafe"):
        compiler.terms([X], set(), [])
    steps: list[object] = []
    lookup = tree.Lookup(tree.Input(), (X,), 1)
    found = compiler.terms([X, lookup], set(), steps)  # type: ignore[arg-type]  # a list of steps
    assert len(found) == 2
    assert len(steps) == 1


def test_arguments_are_patterns() -> None:
    bound: set[int] = set()
    compiler = Compiler(4)
    (matcher,) = compiler.arguments([tree.Collection("array", (), (X, tree.Const(1)), 1)], bound)
    assert bound == {2}
    assert matcher is not None


def test_iterations_cost_more_where_more_is_evaluated() -> None:
    small = "match if { some x in numbers.range(1, 100); x == 0 }"
    large = small.replace("x == 0", "; ".join([*["x != [[[[[x]]]]]"] * 40, "x == 0"]))
    assert result(small, steps=600) is UNDEFINED
    with pytest.raises(RegoBudgetError):
        result(large, steps=600)
    assert result(large, steps=50_000) is UNDEFINED


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("[x, y] = [y, 1]; x == 1", True),
        ("[x, [y]] = [1, [2]]; x + y == 3", True),
        ("[1, 2] = [1]", False),
        ('{"a": 1} = {"b": 1}', False),
        ('{"a": x} = {"a": [1, y]}; y = 2; x == [1, 2]', True),
        ("[1, x] = input.pair; x == 5", True),
        ("[2, x] = input.pair", False),
        ("input.pair = [1, x]; x == 5", True),
        ("x = input.pair[x]", False),
        ("input.pair[i] = i + 1; i == 0", True),
        ("input.pair[i] = i + 2", False),
        ('k := "a"; {k: 1} = {"a": x}; x == 1', True),
        ('{"a": x, "b": [y, 3]} = {"a": y, "b": [2, z]}; [x, z] == [2, 3]', True),
        ("not [x, 1] = [2, 2]; x = 2", True),
        ("{1, 2} = {2, 1}", True),
        ("input.table[[1, x]] == 7; x == 2", True),
        ("some [1, x] in [[1, 2], [2, 3]]; x == 2", True),
        ("some x in input.pair; [x] = [y]; y == 5", True),
    ],
)
def test_unification(body: str, expected: bool) -> None:
    # JSON has no objects with arrays for keys, so the table is a rule.
    text = body.replace("input.table", "table")
    found = result(f"match if {{ {text} }}\ntable[[1, 2]] := 7", {"pair": [1, 5]})
    assert (found is True) is expected
