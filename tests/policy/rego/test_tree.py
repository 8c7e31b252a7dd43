from __future__ import annotations

from octelium.policy.rego.parser import parse
from octelium.policy.rego.resolver import Resolver


def test_groups_hold_all_definitions_of_a_path() -> None:
    text = "package p\na.b := 1\na.b := 2 if false\ndefault a.b := 3\nf(x, y) := x"
    groups = Resolver(parse(text, ("p",))).groups()
    group = groups["a", "b"]
    assert group.name == "a.b"
    assert group.kind == "value"
    assert [definition.is_default for definition in group.definitions] == [False, False, True]
    assert groups["f",].arity == 2
