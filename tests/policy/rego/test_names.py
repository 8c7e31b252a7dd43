from __future__ import annotations

from octelium.policy.rego import tree
from octelium.policy.rego.names import declared, direct_names, names_of, pattern_names, slots_of
from octelium.policy.rego.parser import parse

BODY = """a := 1
[b, {"k": c}] := d
some e, f
some g, [h] in i
j = k
every l in m { n }
[o | o := p]
not q
r.s[t](u)
v with input.x as w"""


def body() -> object:
    text = BODY.replace("r.s[t](u)", "r(s[t], u)")
    (rule,) = parse(f"package p\nrule if {{\n{text}\n}}", ("p",)).rules
    return rule.clauses[0].body


def test_what_a_body_declares() -> None:
    found = declared(body())  # type: ignore[arg-type]  # a body
    assert [name for name, _ in found] == ["a", "b", "c", "e", "f", "g", "h"]


def test_what_a_body_mentions() -> None:
    found = {name for name, _ in direct_names(body(), ())}  # type: ignore[arg-type]  # a body
    # What stands in a body within it alone is that one's.
    assert found == set("abcdghijkmqstuvw")


def test_patterns() -> None:
    (rule,) = parse('package p\nf([a, _, {"x": b, c: d}, {e}, g.h]) := 1', ("p",)).rules
    assert rule.args is not None
    assert [name for name, _ in pattern_names(rule.args)] == ["a", "b", "d"]
    assert {name for name, _ in names_of(rule.args[0])} == {"a", "_", "b", "c", "d", "e", "g"}


def test_slots() -> None:
    one, two, three = (tree.Local(slot, "x", 1) for slot in (1, 2, 3))
    closure = tree.Closure("array", None, one, (), frozenset({7}), 1)
    term = tree.Lookup(tree.Collection("object", (one,), (two,), 1), (three, closure), 1)
    assert set(slots_of(term)) == {1, 2, 3, 7}
    every = tree.Every(None, one, two, (), frozenset({8}))
    statement = tree.Statement(tree.Not(every), (tree.With((), three),), 1)
    assert set(slots_of(statement)) == {2, 3, 8}
    assert set(slots_of(tree.Iterate(None, one, two))) == {1, 2}
    assert set(slots_of(tree.Unify(one, tree.FunctionCall(("f",), (two,), 1)))) == {1, 2}
