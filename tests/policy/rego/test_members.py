from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.rego.members import Members
from octelium.policy.rego.needed import UNDEFINED, RegoError
from octelium.policy.rego.values import Array, Object, Set
from tests.policy.rego.evaluation import result

ADDED = """
p[x] := v if { x := "u"; v := input.o }
p[x][y] := z if { x := "u"; y := "admin"; z := true }
"""
DOCUMENT = {"o": {"k": "v"}, "deep": {"a": {"b": {"c": 1}}}, "s": [1, 2]}


def test_what_a_rule_adds_is_not_in_the_input() -> None:
    assert result(f"{ADDED}match := [p, input.o]", DOCUMENT) == [
        {"u": {"k": "v", "admin": True}},
        {"k": "v"},
    ]
    assert result(f"{ADDED}match if {{ p.u; input.o.admin }}", DOCUMENT) is UNDEFINED
    deep = (
        'p[x] := v if { x := "u"; v := input.deep }\n'
        'p[x].a.b[y] := 2 if { x := "u"; y := "d" }\n'
        "match := [p, input.deep]"
    )
    assert result(deep, DOCUMENT) == [
        {"u": {"a": {"b": {"c": 1, "d": 2}}}},
        {"a": {"b": {"c": 1}}},
    ]


def test_what_a_rule_adds_is_not_in_the_value_of_another() -> None:
    objects = (
        'q := {"a": 1}\n'
        'p[x] := v if { x := "u"; v := q }\n'
        'p[x][y] := z if { x := "u"; y := "b"; z := 2 }\n'
        "match := [q, p, q]"
    )
    assert result(objects) == [{"a": 1}, {"u": {"a": 1, "b": 2}}, {"a": 1}]
    sets = (
        "q := {1}\n"
        'p[x] := v if { x := "u"; v := q }\n'
        'p[x] contains y if { x := "u"; y := 2 }\n'
        "match := [q, p, q]"
    )
    assert result(sets) == [[1], {"u": [1, 2]}, [1]]
    constant = (
        'p[x] := {"a": 1} if { some x in ["u", "v"] }\n'
        'p[x][y] := z if { x := "u"; y := "b"; z := 2 }\n'
        "match := p"
    )
    wanted = {"u": {"a": 1, "b": 2}, "v": {"a": 1}}
    assert result(constant) == wanted


def test_different_values_are_an_error() -> None:
    with pytest.raises(RegoError, match="p gives one key different values"):
        result(ADDED.replace('"admin"', '"k"') + "match := p", DOCUMENT)
    made = Members()
    assert made.put(["a"], 1, is_element=False)
    assert made.put(["a"], 1, is_element=False)
    assert not made.put(["a"], 2, is_element=False)
    assert not made.put(["a", "b"], 1, is_element=False)
    assert not made.put(["a"], 1, is_element=True)
    assert made.put(["n"], None, is_element=False)
    assert not made.put(["n", "b"], 1, is_element=False)


VALUES: Any = st.recursive(
    st.integers(0, 2),
    lambda inner: (
        st.lists(inner, max_size=2).map(Array)
        | st.lists(inner, max_size=2).map(Set)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(Object)
    ),
    max_leaves=6,
)
PUTS: Any = st.lists(
    st.tuples(st.lists(st.sampled_from("abc"), min_size=1, max_size=3), VALUES, st.booleans()),
    max_size=8,
)


@given(PUTS)
def test_values_that_are_put_in_never_change(puts: list[tuple[list[str], Any, bool]]) -> None:
    before = deepcopy([value for _, value, _ in puts])
    made = Members()
    for path, value, is_element in puts:
        if not made.put(path, value, is_element=is_element):
            break
        found: Any = made.root
        for key in path:
            found = found[key]
        assert value in found if is_element else found == value
    assert [value for _, value, _ in puts] == before
