from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.policy.rego.parser import parse
from octelium.policy.rego.rulebook import Rulebook, refuse_cycles
from octelium.policy.rego.tokens import RegoSyntaxError

if TYPE_CHECKING:
    from octelium.policy.rego.tree import RulePath


def book(text: str) -> Rulebook:
    return Rulebook(parse(f"package p\n{text}", ("p",)).rules)


def test_kinds_and_paths() -> None:
    made = book("a := 1\nb.c := 2\nb.d contains 1\ne[x] := 1 if x := 2\nf(x) := x\ng.h(x) := x")
    assert made.kind(("a",)) == "value"
    assert made.kind(("b",)) is None
    assert made.kind(("b", "d")) == "set"
    assert made.kind(("e",)) == "object"
    assert made.kind(("f",)) == "function"
    assert made.is_rule("b")
    assert not made.is_rule("c")
    assert made.prefix(("b", "c", "x")) == ("b", "c")
    assert made.prefix(("b", "x", "y")) == ("b",)
    assert made.prefix(("a", "x")) == ("a",)
    assert set(made.below(("b",))) == {("b", "c"), ("b", "d")}
    assert list(made.below(("f",))) == []
    assert list(made.below(("g",))) == []
    assert set(made.prefixes()) >= {("a",), ("b",), ("b", "c"), ("g", "h")}


def test_beside_computed_keys_no_path_goes_on() -> None:
    made = book("m.a := 1\nm[x] := 2 if x := 3")
    assert made.prefix(("m", "a")) == ("m",)
    assert set(made.below(("m",))) == {("m",), ("m", "a")}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a := 1\na contains 2", "line 3: a is a set here and a value somewhere else"),
        ("a := 1\na(x) := 2", "a is a function here"),
        ("a(x) := 1\na(x, y) := 2", "different numbers of arguments"),
        ("a := 1\na.b := 2", "a.b stands below the rule a"),
        ("a contains 1\na.b := 2", "a.b stands below the rule a"),
        ("default a := 1\ndefault a := 2", "more than one default"),
        (".".join("abcdefghijklmnopq") + " := 1", "more than 16 steps"),
    ],
)
def test_contradictions(text: str, problem: str) -> None:
    with pytest.raises(RegoSyntaxError, match=problem):
        book(text)


def test_cycles() -> None:
    lines: dict[RulePath, int] = {("a",): 1, ("b",): 2, ("c",): 3}
    refuse_cycles({("a",): [("b",), ("c",)], ("b",): [("c",)], ("c",): []}, lines)
    with pytest.raises(RegoSyntaxError, match="line 1: rule a is recursive"):
        refuse_cycles({("a",): [("b",)], ("b",): [("c",)], ("c",): [("a",)]}, lines)
    with pytest.raises(RegoSyntaxError, match="rule b is recursive"):
        refuse_cycles({("a",): [("b",)], ("b",): [("b",)]}, lines)
    long: dict[RulePath, list[RulePath]] = {(str(n),): [(str(n + 1),)] for n in range(5000)}
    long["5000",] = []
    refuse_cycles(long, {})
