from __future__ import annotations

import pytest

from octelium.policy.cel.ast import Call, Const, Fold, Ident, ListNode
from octelium.policy.cel.compiler import compile_node
from octelium.policy.cel.errors import BudgetError, CompileError
from octelium.policy.cel.folds import weight
from octelium.policy.cel.program import compile_program, new_frame
from tests.policy.cel.evaluation import failure, value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1, 2].all(x, x > 0)", True),
        ("[1, 2].all(x, x > 1)", False),
        ("[].all(x, x)", True),
        ("[].exists(x, x)", False),
        ("[1, 2].exists(x, x > 1)", True),
        ("[1, 2].exists_one(x, x > 1)", True),
        ("[1, 2].exists_one(x, x > 0)", False),
        ("[].exists_one(x, x)", False),
        ("[1, 2].map(x, x * 2)", [2, 4]),
        ("[1, 2].map(x, x > 1, x * 2)", [4]),
        ("[1, 2].filter(x, x > 1)", [2]),
        ("{'a': 1, 'b': 2}.all(k, k in ['a', 'b'])", True),
        ("{'a': 1}.map(k, k + '!')", ["a!"]),
        ("{true: 1}.exists(k, k)", True),
        ("[[1, 2], [3]].map(x, x.map(y, y + size(x)))", [[3, 4], [4]]),
        ("[1].all(x, [2].all(x, x == 2))", True),
        ("[1, 2].map(x, [3].exists(y, y > x))", [True, True]),
        # What decides wins over errors, whatever the order.
        ("[0, 1].all(x, 1 / x < 1)", False),
        ("[1, 0].exists(x, 1 / x == 1)", True),
        ("[0, 1].exists(x, 1 / x == 1)", True),
    ],
)
def test_macros(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[0, 1].all(x, 1 / x == 1)", "division by zero"),
        ("[0, 2].exists(x, 1 / x == 1)", "division by zero"),
        ("[0, 1].exists_one(x, 1 / x == 1)", "division by zero"),
        ("[0, 1].map(x, 1 / x)", "division by zero"),
        ("[0, 1].filter(x, 1 / x == 1)", "division by zero"),
        ("[1].all(x, dyn('text'))", "no such overload"),
        ("dyn(1).all(x, true)", "no such overload"),
        ("dyn('abc').exists(x, true)", "no such overload"),
        ("dyn(null).map(x, x)", "no such overload"),
    ],
)
def test_errors(text: str, problem: str) -> None:
    assert problem in failure(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cel.bind(a, 2, a * a)", 4),
        ("cel.bind(a, 2, cel.bind(b, a + 1, a * b))", 6),
        ("cel.bind(a, 1, [2].map(x, x + a))", [3]),
        ("[1, 2].map(x, cel.bind(a, x * 10, a))", [10, 20]),
        # An error is due where the variable is used.
        ("cel.bind(a, 1 / 0, true)", True),
        ("cel.bind(a, 1 / 0 > 0, a || true)", True),
    ],
)
def test_bindings(text: str, expected: object) -> None:
    assert value(text) == expected


def test_an_unused_binding_may_fail_and_a_used_one_may_not() -> None:
    assert "division by zero" in failure("cel.bind(a, 1 / 0, a + 1)")


NUMBERS = "[0,1,2,3,4,5,6,7,8,9]"


def nested(macro: str, innermost: str) -> str:
    """A million steps, in loops within loops."""
    text = innermost
    for variable in "fedcba":
        text = f"{NUMBERS}.{macro}({variable}, {text})"
    return text


@pytest.mark.parametrize(
    "text",
    [
        nested("all", "true"),
        nested("map", "f"),
        nested("exists", "f > 10 || 1 / 0 > 1") + " || true",
    ],
)
def test_loops_are_bounded(text: str) -> None:
    with pytest.raises(BudgetError):
        compile_program(text).evaluate(new_frame({}))


def test_a_text_that_doubles_is_bounded() -> None:
    text = "'0123456789'"
    for depth in range(24):
        text = f"cel.bind(v{depth}, {text}, v{depth} + v{depth})"
    with pytest.raises((BudgetError, CompileError)):
        compile_program(text).evaluate(new_frame({}))


def test_a_list_that_doubles_is_bounded() -> None:
    text = "size(v11 + v11)"
    for depth in range(11, -1, -1):
        start = "ctx.items" if depth == 0 else f"v{depth - 1} + v{depth - 1}"
        text = f"cel.bind(v{depth}, {start}, {text})"
    with pytest.raises((BudgetError, CompileError)):
        compile_program(text).evaluate(new_frame({"items": [0.0] * 100}))


def test_only_known_macros_are_compiled() -> None:
    fold = Fold("x", ListNode((Const(1),)), "acc", Const(0), Const(True), Const(1), Ident("acc"))
    with pytest.raises(CompileError, match="no known macro"):
        compile_node(fold)


def test_too_many_nested_variables() -> None:
    node: Call | Const | Fold = Const(True)
    for depth in range(40):
        node = Fold(
            f"x{depth}",
            ListNode((Const(1),)),
            "acc",
            Const(True),
            Call("@not_strictly_false", None, (Ident("acc"),)),
            Call("_&&_", None, (Ident("acc"), node)),
            Ident("acc"),
        )
    with pytest.raises(CompileError, match="variables"):
        compile_node(node)


def test_the_weight_of_a_body() -> None:
    assert weight(Const(1)) == 1
    assert weight(Call("_+_", None, (Const(1), ListNode((Const(2),))))) == 11
    assert weight(Call("size", None, (Const("a"),))) == 9
