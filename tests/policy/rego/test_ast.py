from __future__ import annotations

from octelium.policy.rego.parser import parse


def test_names_of_rules() -> None:
    module = parse('package p\na.b["c"].d := 1\ne[x] := 2 if x := 1', ("p",))
    assert [rule.name for rule in module.rules] == ["a.b.c.d", "e"]
    assert module.package == ("p",)


def test_equal_texts_make_equal_trees() -> None:
    text = "package p\nr if { some x in [1, {2: `a`}]; not x with input as {3} }"
    assert parse(text, ("p",)) == parse(text, ("p",))
