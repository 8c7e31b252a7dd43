"""Our Rego engine beside rego-cpp: the same modules over the same documents."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from regopy import Interpreter  # type: ignore[import-untyped]  # has no types
from regopy import RegoError as PeerError

from octelium.policy.rego.needed import UNDEFINED, RegoError
from tests.policy.rego.evaluation import CONDITION, result

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT: dict[str, Any] = {
    "ctx": {
        "user": {
            "metadata": {"name": "ann"},
            "spec": {"type": "HUMAN", "groups": ["dev", "ops"], "attrs": {"level": 3}},
        },
        "request": {"http": {"method": "GET", "path": "/admin/x", "size": "12"}},
        "numbers": [1, 2.5, -3, 0],
        "mixed": [1, "1", True, None, [], {}],
        "empty": {},
    },
    "attrs": {"limit": 10},
}

FAILED = "failed"
MISSING = "undefined"
MAY_FAIL = ("/ ", "% ", "+ ", "- ", "* ", "abs(", "count(", "startswith(", "sum(", "match := 1\n")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The peer writes errors to the process's own stderr."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def ours(rules: str) -> object:
    try:
        found = result(rules, DOCUMENT)
    except RegoError:
        return FAILED
    return MISSING if found is UNDEFINED else found


def peers(rules: str) -> object:
    engine = Interpreter()
    with quiet():
        try:
            engine.add_module("module", CONDITION + "import rego.v1\n" + rules)
            engine.set_input(DOCUMENT)
            answer = str(engine.query("x := data.octelium.condition.match"))
        except PeerError:
            return FAILED
    if answer == MISSING:
        return MISSING
    return json.loads(answer)["bindings"]["x"]


def same(rules: str) -> None:
    mine, theirs = ours(rules), peers(rules)
    if mine == FAILED and any(name in rules for name in MAY_FAIL):
        return  # an error of a function is an error of the module; the peer takes it for undefined
    assert json.dumps(mine, sort_keys=True) == json.dumps(theirs, sort_keys=True), rules


@pytest.mark.parametrize(
    "rules",
    [
        'match if input.ctx.user.metadata.name == "ann"',
        'match if "ops" in input.ctx.user.spec.groups',
        'match if not "root" in input.ctx.user.spec.groups',
        "match if input.ctx.user.spec.attrs.level < input.attrs.limit",
        "match if input.ctx.nothing.here",
        "match if not input.ctx.nothing.here",
        'match if { some g in input.ctx.user.spec.groups; startswith(g, "d") }',
        "match if { every n in input.ctx.numbers { n > -4 } }",
        "match if { every n in input.ctx.numbers { n > 0 } }",
        "match if { every n in [] { n > 0 } }",
        "default match := false\nmatch if input.ctx.nothing",
        "default match := true\nmatch := false if input.ctx.user",
        "match := x if { x := count([g | some g in input.ctx.user.spec.groups]) }",
        "match := {g: i | some i, g in input.ctx.user.spec.groups}",
        "match := {x | some x in input.ctx.mixed}",
        "match := [x | some x in input.ctx.mixed; is_string(x)]",
        "match := sum([1 | some _ in input.ctx.mixed])",
        "names contains g if some g in input.ctx.user.spec.groups\nmatch := count(names)",
        "f(x) := x + 1\nmatch := f(f(2))",
        "f(x) := 1 if x > 3\nelse := 2 if x > 1\nelse := 3\nmatch := [f(5), f(2), f(0)]",
        "match := input.ctx.user.spec.groups[_]",
        "match := input.ctx.numbers[1]",
        "match := input.ctx.numbers[9]",
        'match := input.ctx.user.spec.attrs["level"]',
        'match := object.get(input.ctx, ["user", "spec", "type"], "none")',
        "o[k] := v if some k, v in input.ctx.user.spec.attrs\nmatch := o",
        "match := [1, 2] == [1, 2]",
        'match := {"a": 1} == {"a": 1.0}',
        "match := 7 % 3",
        "match := -7 / 2",
        "match := 1 / 0",
        "match := {1, 2} | {2, 3}",
        "match := {1, 2} & {2, 3}",
        "match := {1, 2} - {2}",
        "match if { x := 1; x == 1 }",
        "match if { [a, b] := [1, 2]; a < b }",
        'match := y if { {"a": y} = {"a": 5} }',
        "match := x if { walk([1], [_, x]) }",
        'match := sprintf("%d-%s", [1, "a"])',
        'match := split("a/b/c", "/")',
        "match := sort([3, 1, 2])",
        "match := max(input.ctx.numbers)",
        "match := [is_null(x) | some x in input.ctx.mixed]",
        "a := 1\nb := a + 1\nmatch := b",
        "match := 1\nmatch := 1",
        "match := 1\nmatch := 2",
        'match := x if { x := input.ctx with input.ctx as "other" }',
    ],
)
def test_modules(rules: str) -> None:
    with contextlib.suppress(ValueError):  # what ours refuses to compile decides nothing
        same(rules)


NUMBERS = st.sampled_from(["0", "1", "2", "-1", "2.5", "10", "input.ctx.user.spec.attrs.level"])
TEXTS = st.sampled_from(
    [
        '""',
        '"a"',
        '"ann"',
        '"/admin"',
        "input.ctx.user.metadata.name",
        "input.ctx.request.http.path",
    ]
)
ARRAYS = st.sampled_from(
    [
        "[]",
        "[1, 2]",
        '["a", 1]',
        "input.ctx.numbers",
        "input.ctx.mixed",
        "input.ctx.user.spec.groups",
    ]
)
MISSING_PATHS = st.sampled_from(
    ["input.ctx.none", "input.ctx.user.none.deeper", "input.ctx.empty.x"]
)


def _numbers(values: st.SearchStrategy[str], arrays: st.SearchStrategy[str]) -> Any:
    pairs = st.tuples(values, st.sampled_from(["+", "-", "*", "/", "%"]), values)
    return st.one_of(
        pairs.map(lambda parts: f"({' '.join(parts)})"),
        arrays.map(lambda array: f"count({array})"),
        values.map(lambda number: f"abs({number})"),
    )


ARITHMETIC = st.recursive(NUMBERS, lambda inner: _numbers(inner, ARRAYS), max_leaves=4)
ANY = st.one_of(ARITHMETIC, TEXTS, ARRAYS, MISSING_PATHS, st.sampled_from(["true", "null", "{}"]))
ORDERINGS = st.sampled_from(["<", "<=", ">", ">="])
TESTS = st.one_of(
    st.tuples(ANY, st.sampled_from(["==", "!="]), ANY).map(" ".join),
    # The peer orders values of different types in a way of its own.
    st.tuples(ARITHMETIC, ORDERINGS, ARITHMETIC).map(" ".join),
    st.tuples(TEXTS, ORDERINGS, TEXTS).map(" ".join),
    st.tuples(ANY, ARRAYS).map(lambda parts: f"{parts[0]} in {parts[1]}"),
    st.tuples(TEXTS, TEXTS).map(lambda parts: f"startswith({parts[0]}, {parts[1]})"),
    ARRAYS.map(lambda array: f"some each in {array}; each != 1"),
    st.tuples(ARRAYS, NUMBERS).map(
        lambda parts: f"every each in {parts[0]} {{ each != {parts[1]} }}"
    ),
    ANY,
)
LITERALS = st.one_of(TESTS, TESTS.filter(lambda text: "each" not in text).map("not {}".format))
BODIES = st.lists(LITERALS, min_size=1, max_size=3).map(
    lambda parts: (
        "{ " + "; ".join(part.replace("each", f"each{n}") for n, part in enumerate(parts)) + " }"
    )
)


@st.composite
def rulebooks(draw: st.DrawFn) -> str:
    lines = []
    if draw(st.booleans()):
        lines.append("default match := false")
    for _ in range(draw(st.integers(1, 2))):
        value = draw(st.sampled_from(["", " := true", " := false"]))
        lines.append(f"match{value} if {draw(BODIES)}")
    return "\n".join(lines)


@given(rulebooks())
def test_random_modules(rules: str) -> None:
    with contextlib.suppress(ValueError):
        same(rules)
