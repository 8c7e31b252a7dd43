from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.octovigil.access.formula import FALSE, TRUE, Atom, Formula, Formulas, conjuncts
from octelium.policy.cel.environment import check
from octelium.policy.cel.openmap import OpenMap
from octelium.policy.cel.unparse import unparse

CTX = OpenMap(
    {"request": OpenMap(present={"method": (), "path": ()}), "user": {"team": "ops"}}, open=False
)


def formula(formulas: Formulas, text: str) -> Formula:
    return formulas.of(check(text).root, CTX)


def text_of(text: str) -> str:
    return unparse(formula(Formulas(), text).node)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", "true"),
        ("!true", "false"),
        ("ctx.request.method == 'a'", 'ctx.request.method == "a"'),
        ("!(ctx.request.method == 'a')", 'ctx.request.method != "a"'),
        ("!(ctx.request.method != 'a')", 'ctx.request.method == "a"'),
        ("!ctx.request.path.startsWith('/a')", '!ctx.request.path.startsWith("/a")'),
        ("!ctx.request.other.startsWith('/a')", 'ctx.request.other.startsWith("/a") == false'),
        ("!has(ctx.request.other)", "!has(ctx.request.other)"),
        ("!('x' in ctx.request.path)", '!("x" in ctx.request.path)'),
        ("!(ctx.request.method == 'a' && ctx.request.path == 'b')",
         'ctx.request.method != "a" || ctx.request.path != "b"'),
        ("!(ctx.request.method == 'a' || ctx.request.path == 'b')",
         'ctx.request.method != "a" && ctx.request.path != "b"'),
        ("!!(ctx.request.method == 'a')", 'ctx.request.method == "a"'),
        ("ctx.request.method == 'a' && ctx.request.method == 'a'", 'ctx.request.method == "a"'),
        ("ctx.request.a == 1 || ctx.request.b == 1 || ctx.request.c == 1 || ctx.request.d == 1",
         "ctx.request.a == 1 || ctx.request.b == 1 || ctx.request.c == 1 || ctx.request.d == 1"),
    ],
)  # fmt: skip
def test_expressions_become_combinations(text: str, expected: str) -> None:
    assert text_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ctx.request.a && (ctx.request.a || ctx.request.b)", "ctx.request.a"),
        ("ctx.request.a || (ctx.request.a && ctx.request.b)", "ctx.request.a"),
        ("(ctx.request.a && ctx.request.b) || (ctx.request.b && ctx.request.a)",
         "ctx.request.a && ctx.request.b"),
        ("(ctx.request.a || ctx.request.b) && (ctx.request.a || ctx.request.b || ctx.request.c)",
         "ctx.request.a || ctx.request.b"),
    ],
)  # fmt: skip
def test_what_is_said_already_goes(text: str, expected: str) -> None:
    assert text_of(text) == expected


def test_a_negated_atom_is_true_without_data_too() -> None:
    formulas = Formulas()
    one = formula(formulas, "ctx.request.other == 'a'")
    assert unparse(formulas.negation(one).node) == '!(ctx.request.other == "a")'
    assert formulas.negation(formulas.negation(one)) is one
    assert formulas.both(one, formulas.negation(one)) is FALSE
    assert formulas.either(one, formulas.negation(one)) is TRUE
    assert formulas.either(one, formula(formulas, "ctx.request.other != 'a'")) is not TRUE


def test_a_part_that_others_refute_goes() -> None:
    formulas = Formulas()
    one, two = formula(formulas, "ctx.request.a == 1"), formula(formulas, "ctx.request.b == 1")
    assert formulas.both(one, formulas.either(formulas.negation(one), two)) is formulas.both(
        one, two
    )
    assert formulas.either(one, formulas.both(formulas.negation(one), two)) is formulas.either(
        one, two
    )


def test_literals_of_other_types_are_other_atoms() -> None:
    formulas = Formulas()
    texts = ("1", "1.0", "true", "'1'", "1u")
    atoms = {formula(formulas, f"ctx.request.a == {text}") for text in texts}
    assert len(atoms) == len(texts)


def test_attrs_of_another_policy_are_another_atom() -> None:
    formulas = Formulas()
    root = check("ctx.request.a == attrs.big").root
    one, two = {"big": 1}, {"big": 2}
    assert formulas.of(root, CTX, one) is formulas.of(root, CTX, one)
    assert formulas.of(root, CTX, one) is not formulas.of(root, CTX, two)


def test_what_names_something_known_expects_nothing() -> None:
    formulas = Formulas()
    atom = formula(formulas, "ctx.request.method == ctx.user.team")
    assert isinstance(atom, Atom)
    assert atom.expected is None
    other = formula(formulas, "ctx.request.method == 'x'")
    assert isinstance(other, Atom)
    assert other.expected == {("request", "method"): ((), 2)}


def test_conjuncts() -> None:
    formulas = Formulas()
    assert conjuncts(TRUE) == []
    assert conjuncts(FALSE) == ["false"]
    assert conjuncts(formula(formulas, "ctx.request.a && (ctx.request.b || ctx.request.c)")) == [
        "ctx.request.a",
        "ctx.request.b || ctx.request.c",
    ]


def test_long_texts_are_cut_off() -> None:
    formulas = Formulas()
    many = formulas.all(formulas.named("is", str(number)) for number in range(40))
    texts = conjuncts(many)
    assert len(texts) == 33
    assert texts[-1] == "… and 8 more"
    (text,) = conjuncts(formulas.named("is", "x" * 3000))
    assert text.endswith("…")
    assert len(text) == 2001


def test_named() -> None:
    formulas = Formulas()
    atom = formulas.named("rego", 'Policy "a", rule 1', 7, "text")
    assert atom is formulas.named("rego", 'Policy "a", rule 2', 7, "text")
    assert atom is not formulas.named("rego", 'Policy "a", rule 1', 8, "text")
    assert unparse(atom.node) == 'rego("Policy \\"a\\", rule 1")'
    assert atom.says == "text"


# --- the property: whatever is simplified stays true where it was

_NAMES = ("a", "b", "c", "d")
Tree = Any

trees = st.recursive(
    st.sampled_from(_NAMES) | st.booleans(),
    lambda inner: (
        st.tuples(st.just("not"), inner)
        | st.tuples(st.sampled_from(["all", "any"]), st.lists(inner, max_size=3))
    ),
    max_leaves=12,
)


def build(formulas: Formulas, tree: Tree) -> Formula:
    if isinstance(tree, bool):
        return TRUE if tree else FALSE
    if isinstance(tree, str):
        return formulas.named("is", tree)
    if tree[0] == "not":
        return formulas.negation(build(formulas, tree[1]))
    parts = [build(formulas, part) for part in tree[1]]
    return formulas.all(parts) if tree[0] == "all" else formulas.any(parts)


def value(tree: Tree, true: frozenset[str]) -> bool:
    if isinstance(tree, bool):
        return tree
    if isinstance(tree, str):
        return tree in true
    if tree[0] == "not":
        return not value(tree[1], true)
    parts = [value(part, true) for part in tree[1]]
    return all(parts) if tree[0] == "all" else any(parts)


@given(trees)
def test_combinations_mean_what_they_were_made_of(tree: Tree) -> None:
    formulas = Formulas()
    made = build(formulas, tree)
    again = build(formulas, tree)
    assert made is again
    for count in range(len(_NAMES) + 1):
        for names in itertools.combinations(_NAMES, count):
            atoms = frozenset(formulas.named("is", name) for name in names)
            assert made.holds(atoms) is value(tree, frozenset(names))
