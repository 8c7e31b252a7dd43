from __future__ import annotations

import pytest

from octelium.policy.rego import tree
from octelium.policy.rego.parser import parse
from octelium.policy.rego.resolver import FIRST_SLOT, Resolver
from octelium.policy.rego.tokens import RegoSyntaxError


def resolver(text: str) -> Resolver:
    return Resolver(parse(f"package p\n{text}", ("p",)))


def clause(text: str) -> tree.Clause:
    return resolver(text).groups()["r",].definitions[0].clauses[0]


def test_variables_get_slots() -> None:
    made = clause("r := x if { x := 1; y = x; some z; z = y }")
    first, second, third = made.body
    assert isinstance(first.expression, tree.Unify)
    assert isinstance(first.expression.left, tree.Local)
    assert made.value == tree.Local(first.expression.left.slot, "x", 2)
    assert made.slots == FIRST_SLOT + 3
    assert isinstance(second.expression, tree.Unify)
    assert isinstance(third.expression, tree.Unify)
    assert third.expression.right == second.expression.left


def test_a_body_within_sees_the_variables_around_it() -> None:
    made = clause("r if { x := 1; y := [z | z := x]; some z in y }")
    closure = made.body[1].expression
    assert isinstance(closure, tree.Unify)
    assert isinstance(closure.right, tree.Closure)
    x = made.body[0].expression
    assert isinstance(x, tree.Unify)
    assert isinstance(x.left, tree.Local)
    assert closure.right.free == {x.left.slot}


def test_every_wildcard_is_a_variable_of_its_own() -> None:
    made = clause("r if input.a[_] == input.b[_]")
    slots = {local.slot for local in locals_in(made.body)}
    assert len(slots) == 2


def locals_in(node: object) -> list[tree.Local]:
    from octelium.policy.rego.safety import locals_of

    return list(locals_of(node))


def test_rules_and_functions() -> None:
    made = resolver("r := a.b.c + f(1) + data.p.d\na.b := {}\nf(x) := x\nd := 1\ng.h := d")
    groups = made.groups()
    assert groups["r",].calls == {("a", "b"), ("f",), ("d",)}
    assert groups["g", "h"].calls == {("d",)}
    assert groups["f",].arity == 1
    assert made.called == {"plus"}


def test_what_is_read() -> None:
    made = resolver('import input.x as q\nr if { q.y; input.a["b"][input.c]; s }\ns := input')
    made.groups()
    assert made.reads == {("x", "y"), ("a", "b"), ("c",), ()}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("r if x.y", None),  # left to the order of statements
        ("r if count(1, 2)", "count takes 1 argument, not 2"),
        ("r if nothing(1)", "nothing may not be called"),
        ("r if f\nf(x) := x", "f is a function: call it"),
        ("r if data.q.x", "data holds nothing"),
        ("r if data.p.nothing", "data holds nothing"),
        ("r if data.p", "data holds nothing"),
        ("r if { x := x }", "x is used before it is declared"),
        ("r if { y := [x | true]; x := 1 }", "x is used before it is declared"),
        ("r if { x := 1; some x }", "x is declared twice"),
        ("r if { not x := 1 }", "not cannot declare"),
        ("f(x) if { some x; x = 1 }\nr := 1", "x is an argument"),
        ("data := 1\nr := 1", "cannot be called data"),
        ("input.x := 1\nr := 1", "cannot be called input"),
        ("r if { data := 1 }", "data cannot be declared"),
        ("import input.r\nr := 1", "both imported and a rule"),
        ("r if r", "rule r is recursive"),
        (
            "r if " + " == ".join(["input[_]"] * 2) + "\n" + "s := [" + "_," * 4000 + "]",
            "variables",
        ),
    ],
)
def test_what_is_refused(text: str, problem: str | None) -> None:
    if problem is None:
        resolver(text).groups()
        return
    with pytest.raises(RegoSyntaxError, match=problem):
        resolver(text).groups()
