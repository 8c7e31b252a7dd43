from __future__ import annotations

import pytest

from octelium.policy.cel.ast import Const, Ident
from octelium.policy.cel.environment import check
from octelium.policy.cel.trees import (
    FALSE,
    TRUE,
    binds,
    conjunction,
    disjunction,
    is_constant,
    negation,
    substituted,
)
from octelium.policy.cel.unparse import unparse

A, B = check("ctx.a").root, check("ctx.b").root


def test_constants_of_logic_disappear() -> None:
    assert conjunction([]) == TRUE
    assert conjunction([TRUE, A]) == A
    assert conjunction([A, FALSE]) == FALSE
    assert disjunction([]) == FALSE
    assert disjunction([A, TRUE]) == TRUE
    assert unparse(conjunction([A, disjunction([FALSE, A, B])])) == "ctx.a && (ctx.a || ctx.b)"
    assert negation(TRUE) == FALSE
    assert unparse(negation(A)) == "!ctx.a"
    assert negation(negation(A)) == A


def test_a_number_is_no_truth() -> None:
    assert is_constant(TRUE, TRUE)
    assert not is_constant(Const(1), TRUE)
    assert not is_constant(Const(0.0), FALSE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x == 1 && [x].exists(y, y == x)", "ctx.a == 1 && [ctx.a].exists(y, y == ctx.a)"),
        ("[x].exists(x, x == 1)", "[ctx.a].exists(x, x == 1)"),
        ("{'k': x}.k.startsWith(x) && has(x.y)",
         '{"k": ctx.a}.k.startsWith(ctx.a) && has(ctx.a.y)'),
        ("cel.bind(x, x, x)", "cel.bind(x, ctx.a, x)"),
    ],
)  # fmt: skip
def test_substitution_leaves_inner_variables_alone(text: str, expected: str) -> None:
    root = check(text, ("x",)).root
    assert unparse(substituted(root, {"x": A})) == expected
    assert substituted(root, {}) is root


def test_names_that_are_bound() -> None:
    names = frozenset({"ctx"})
    assert binds(check("[1].exists(ctx, ctx == 1)").root, names)
    assert binds(check("size([1].map(y, {'a': cel.bind(ctx, 1, ctx)})) == 1").root, names)
    assert not binds(check("[1].exists(x, x == ctx.a)").root, names)
    assert not binds(Ident("ctx"), names)
