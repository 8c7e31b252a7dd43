from __future__ import annotations

import itertools
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.rego.needed import UNDEFINED, RegoBudgetError, RegoError
from octelium.policy.rego.program import Program
from octelium.policy.rego.tokens import RegoSyntaxError
from octelium.policy.rego.values import Meter
from tests.peers.timing import within
from tests.policy.rego.evaluation import CONDITION, holds, result, value

HOLD = [
    # variables and scopes
    "x := 1; ys := [x | some x in [5, 6]]; ys == [5, 6]; x == 1",
    "x := 1; every x in [5, 6] { x > 4 }; x == 1",
    "a := [1, 2]; some i; a[i] == 2; b := [z | z := a[i]]; b == [2]",
    "x = y; y = 2; x == 2",
    "[a, [b]] := [1, [2]]; a + b == 3",
    '{"a": v} := {"a": 5}; v == 5',
    "[x, 1] = [2, y]; x + y == 3",
    '{"a": x, "b": 1} = {"a": 2, "b": y}; x + y == 3',
    "x := false; not x",
    "count([1 | [1, 2][_] > 0]) == 2",
    # iteration
    "some x in [1, 2, 3]; x > 2",
    'some i, x in ["a", "b"]; i == 1; x == "b"',
    'some k, v in {"a": 1}; k == "a"; v == 1',
    "some x in {1, 2}; x == 2",
    'some {"n": n} in [{"n": 1}, {"n": 2}]; n == 2',
    "[1, 2, 3][i] == 2; i == 1",
    '{"a": {"b": 1}}[x].b == 1; x == "a"',
    "[[1, 2], [3]][i][j] == 3; i == 1; j == 0",
    "i < [1, 2][i]; i == 1",
    "{{1, 2}, {3}}[{3}]",
    # quantification
    "every x in [] { false }",
    "every k, v in [5, 6] { v == k + 5 }",
    "not every_fails",
    # comprehensions
    "{x | some x in [1, 1, 2]} == {1, 2}",
    '{k: v | some k, v in {"a": 1, "b": 2}; v > 1} == {"b": 2}',
    "[y | some x in [1, 2]; y := x * 2] == [2, 4]",
    "[x | x := {3, 1, 2}[_]] == [1, 2, 3]",
    # membership
    "1 in [1]",
    "not 1 in {2}",
    '"v" in {"k": "v"}',
    '(1, "b" in ["a", "b"])',
    # operators
    "1 + 2 * 3 == 7",
    "(1 + 2) * 3 == 9",
    "7 % 4 - -1 == 4",
    "{1, 2} | {3} == {1, 2, 3}",
    "{1, 2} & {2} == {2}",
    "{1, 2} - {2} == {1}",
    "1 == 1.0",
    "true != 1",
    '0 != ""',
    "null < false",
    'false < 0; 0 < ""; "" < []; [] < {}; {} < set()',
    "[1, 2] < [1, 3]",
    '{"a": 1} < {"a": 2}',
    # literals
    '"\\u0061\\n" == "a\\n"',
    "`\\u0061` == \"\\\\u0061\"",
    "set() == {x | false; x := 1}",
    '{"a": 1,} == {"a": 1}',
    "[1, 2,] == [1, 2]",
    "-1.5e1 == -15",
    # look-ups
    'input.a["b c"] == 1',
    "not input.missing",
    "not input.a.b.c.d",
    "input.list[0] == 5",
    "not input.list[5]",
    "not input.list[-1]",
    "not input.list.x",
    "input.deep[x].y == 2; x == \"k\"",
    # with
    "input.z == 1 with input as {\"z\": 1}",
    "z == 7 with input.z as 7",
    "z == 7 with input.z as 7; not z",
    "z == [7, 8] with input.z as [7, 8] with input.q.r as 2",
    "rules == 1; rules == 2 with input.z as 1",
]  # fmt: skip

RULES = """
every_fails if every x in [1, 2] { x > 1 }
z := input.z
rules := 2 if input.z == 1
rules := 1 if not input.z
"""

DOCUMENT = {"a": {"b c": 1}, "list": [5], "deep": {"k": {"y": 2}, "l": {"y": 3}}}


@pytest.mark.parametrize("body", HOLD)
def test_the_language(body: str) -> None:
    assert result(f"match if {{ {body} }}\n{RULES}", DOCUMENT) is True
    assert result(f"match := false if {{ {body} }}\n{RULES}", DOCUMENT) is False


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("match := 1", 1),
        ("match if false", UNDEFINED),
        ("default match := false\nmatch if input.x", False),
        ("default match := false\nmatch if input.y", True),
        ("match := 1 if input.x else := 2 if input.y else := 3", 2),
        ("match if input.x\nelse := false", False),
        ("match := x if x := input.y", 1),
        ("match := x\nx contains 1\nx contains y if some y in [2, 3]", [1, 2, 3]),
        ('match := x\nx["a"] := 1\nx[k] := 2 if k := "b"', {"a": 1, "b": 2}),
        ("match := x\nx.a.b := 1\nx.a.c := 2", {"a": {"b": 1, "c": 2}}),
        ("match := x.a.b\nx.a.b := 1\nx.a.c := 2", 1),
        ("match := x[input.k].b\nx.a.b := 1", 1),
        ('match := x\nx[k] contains v if some k, v in {"a": 1}', {"a": [1]}),
        ("match := x\nx.a[k].c := 1 if k := 5", {"a": {"5": {"c": 1}}}),
        ("match := f(2)\nf(x) := x + 1", 3),
        ("match := f(2)\nf(1) := 5\nf(2) := 6", 6),
        ('match := f([1, {"a": 2}])\nf([x, {"a": y}]) := x + y', 3),
        ("match := f(1)\ndefault f(_) := 9\nf(2) := 1", 9),
        ("match := f(3)\nf(x) := 1 if x > 5 else := 2 if x > 2", 2),
        ("match := data.octelium.condition.y\ny := 4", 4),
        ("match := data.octelium.condition.f(1)\nf(x) := x", 1),
        ("import input.y as z\nmatch := z", 1),
        ("import input\nmatch := input.y", 1),
        ("import rego.v1\nimport future.keywords.if\nmatch := 5", 5),
        ("match if true\nmatch if true", True),
        ("match := [1, 2][input.y]", 2),
        ("match := {1: 2}[1.0]", 2),
        ("match := x if {\n  # a comment\n  y := 1\n  x := y;\n}", 1),
        ('match := {"a": {1, 2}, 3: null}', {"3": None, "a": [1, 2]}),
    ],
)
def test_rules(rules: str, expected: object) -> None:
    found = result(rules, {"y": 1, "k": "a"})
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ("match := 1\nmatch := 2", "match comes to different values"),
        ("match := x if some x in [1, 2]", "match comes to different values"),
        ("match := f(1)\nf(x) := 1\nf(x) := 2 if x == 1", "f comes to different values"),
        ('match := x\nx["a"] := y if some y in [1, 2]', "x.a comes to different values"),
        ('match := x\nx[k] := y if { k := "a"; some y in [1, 2] }', "x gives one key different"),
        ('match := x\nx.a := 1\nx[y] := 2 if y := "a"', "different values for one key"),
        ("match := {x: y | some x in [1]; some y in [1, 2]}", "two values for one key"),
        ("match := 1 / 0", "line 2: div: divide by zero"),
        ("match if {\n  true\n  count(1) == 1\n}", "line 4: count: argument 1 must be"),
        ("match if not 1 % 0", "modulo by zero"),
        ("match if not count(input) > input.x / 0", "divide by zero"),
    ],
)
def test_errors_of_evaluation(rules: str, problem: str) -> None:
    with pytest.raises(RegoError, match=problem):
        result(rules, {"x": 1})


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ("", "line 1: no rule defines match"),
        ("other if true", "no rule defines match"),
        ("match contains 1", "match is a set"),
        ("match(x) := x", "match is a function"),
        ("match if x > 1", "line 2: x is unsafe"),
        ("match if usr.name == 1", "usr is unsafe"),
        ("match if not x == 1", "x is unsafe"),
        ("match if not input.a[_]", "_ is unsafe"),
        ("match if { not x == 3; x := 1 }", "x is used before it is declared"),
        ("match if { x == 1; x := 1 }", "x is used before it is declared"),
        ("match if { x := 1; x := 2 }", "x is declared twice"),
        ("match if { some x, x; x = 1 }", "x is declared twice"),
        ("match if f(1)\nf(x) if { x := 2 }", "x is an argument"),
        ("match if { count([x | x := 1]) == 1; x == 1 }", "x is unsafe"),
        ("match if { every x in [1] { x > 0 }; x == 1 }", "x is unsafe"),
        ("match := x if true", "x is unsafe"),
        ("match if x\nother if x := 1", "x is unsafe"),
        ("match := 1 if { x := 1; x == 1 } else := 2 if { x == 2 }", "x is unsafe"),
        ("match if x = y", "x is unsafe"),
        ("match if match", "match is recursive"),
        ("match if a\na if b\nb if not a", "recursive"),
        ("match if f(1)\nf(x) if f(x + 1)", "f is recursive"),
        ("match if data.foo", "data holds nothing"),
        ("match if data.octelium.other.x", "data holds nothing"),
        ("match if data", "data holds nothing"),
        ("match if data[input.x]", "data holds nothing"),
        ("match if data.octelium.condition", "data holds nothing"),
        ("match if f\nf(x) := x", "f is a function: call it"),
        ("match if f(1, 2)\nf(x) := x", "f takes 1 argument, not 2"),
        ("match if f(1)\nf(x) := x\nf(x, y) := y", "different numbers of arguments"),
        ("match if true\nmatch contains 1", "match is a set here and a value somewhere else"),
        ("match.a := 1\nmatch := 2", "stands below the rule match"),
        ("default match := 1\ndefault match := 2", "more than one default"),
        ("match if true\ninput := 1", "cannot be called input"),
        ("match if { some input; input == 1 }", "input cannot be declared"),
        ("import input.x as match\nmatch if true", "both imported and a rule"),
        ('match if regex.match("(?=a)b", input.x)', "line 2: regex.match: .* no regular"),
        ('match if regex.match("(", input.x)', "no regular expression of RE2"),
        ('match if regex.replace(input.x, "[", "")', "no regular expression of RE2"),
        ("match." + ".".join("abcdefghijklmnopq") + " := 1", "more than 16 steps"),
    ],
)
def test_what_is_refused(rules: str, problem: str) -> None:
    with pytest.raises(RegoSyntaxError, match=problem):
        result(rules)


def test_the_result_is_that_of_the_purpose() -> None:
    program = Program('package octelium.eval\nresult["a"] := 1', "octelium.eval", "result")
    assert program.evaluate({}, Meter()) == {"a": 1}
    with pytest.raises(RegoSyntaxError, match=r"the package is octelium\.eval"):
        Program("package octelium.eval\nmatch if true", "octelium.condition", "match")


def test_the_input_that_is_read() -> None:
    def reads(rules: str) -> set[tuple[str, ...]]:
        return set(Program(CONDITION + rules, "octelium.condition", "match").input_paths)

    assert reads("match if true") == set()
    assert reads("match if input.ctx.user.a == input.ctx['b']".replace("'", '"')) == {
        ("ctx", "user", "a"),
        ("ctx", "b"),
    }
    assert reads("match if input.ctx[_].a") == {("ctx",)}
    assert reads("match if input[input.x]") == {(), ("x",)}
    assert reads("match if count(input) > 1") == {()}
    assert reads("import input.ctx as c\nmatch if c.user.a") == {("ctx", "user", "a")}
    assert reads("import input as i\nmatch if i.user.a") == {("user", "a")}
    assert reads("import input.ctx as c\nmatch if true") == set()
    assert reads("match if true\nunused if input.a") == {("a",)}
    assert reads("match if x with input.a as 1\nx if input.b") == {("b",)}


def test_a_rule_is_evaluated_once() -> None:
    costly = "r := count([1 | some a in numbers.range(1, 900)])"
    assert result(f"match if {{ r == 900; r == r; [r, r, r] == [r, r, r] }}\n{costly}", steps=3000)


def test_budgets() -> None:
    endless = "count([1 | some a in numbers.range(1, 3000); some b in numbers.range(1, 3000)]) > 1"
    with pytest.raises(RegoBudgetError, match="more steps"):
        result(f"match if {endless}")
    with pytest.raises(RegoBudgetError):
        result("match if true", {"list": [1] * 10_000}, steps=1000)
    deep: Any = 1
    for _ in range(70):
        deep = [deep]
    with pytest.raises(RegoError, match="levels deep"):
        result("match if true", deep)


# --- bodies hold whatever the order of their statements


NAMES = ("p", "q", "r")
DOMAIN = (0, 1, 2)
ATOMS = st.one_of(
    st.tuples(st.just("in"), st.sampled_from(NAMES), st.lists(st.sampled_from(DOMAIN), max_size=3)),
    st.tuples(st.just("=="), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("<"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("+1="), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("not <"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("="), st.sampled_from(NAMES), st.sampled_from((*NAMES, *DOMAIN))),
)
CHECKS: dict[str, Any] = {
    "in": lambda a, items: a in items,
    "==": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "+1=": lambda a, b: a + 1 == b,
    "not <": lambda a, b: not a < b,
    "=": lambda a, b: a == b,
}
TEXTS = {
    "in": "{0} in {1}",
    "==": "{0} == {1}",
    "<": "{0} < {1}",
    "+1=": "{0} + 1 == {1}",
    "not <": "not {0} < {1}",
    "=": "{0} = {1}",
}


@given(st.lists(ATOMS, max_size=6), st.permutations(range(9)))
def test_bodies_against_all_assignments(atoms: list[Any], order: list[int]) -> None:
    expected = [
        list(values)
        for values in itertools.product(DOMAIN, repeat=3)
        if all(
            CHECKS[kind](
                *(dict(zip(NAMES, values, strict=True)).get(arg, arg) if isinstance(arg, str)
                  else arg for arg in args)
            )
            for kind, *args in atoms
        )
    ]  # fmt: skip
    statements = [f"[0, 1, 2][_] = {name}" for name in NAMES]
    statements += [TEXTS[kind].format(*args) for kind, *args in atoms]
    order = [index for index in order if index < len(statements)]
    body = "; ".join(statements[index] for index in order)
    assert value(f"{{[p, q, r] | {body}}}") == expected
    assert holds(body) is bool(expected)


# --- random modules come to a result or to an error that refuses


WORDS = st.sampled_from(
    [
        "match", "if", "{", "}", "[", "]", "(", ")", ":=", "=", "==", ";", "\n", "x", "y", "input",
        ".", "a", "some", "in", "every", "not", "with", "as", "1", '"s"', "|", "_", "count", ",",
        ":", "else", "default", "contains", "-", "data", "import", "true", "set", "numbers.range",
    ]
)  # fmt: skip
VALID = "match if { some x in input.a; y := [z | z := x + 1]; count(y) == 1 } else := false"


@given(st.lists(WORDS, max_size=25), st.integers(0, 8))
def test_random_modules(words: list[str], kept: int) -> None:
    start = VALID.split(" ")[:kept]
    for text in (" ".join([*start, *words]), "".join([*start, *words])):
        with suppress(RegoError, RegoSyntaxError):
            result(text, {"a": [1]}, steps=5000)


@given(st.data())
def test_mutated_modules(data: st.DataObject) -> None:
    text = list(f"{VALID}\n{RULES}")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        change = data.draw(st.sampled_from(["drop", "double", "swap", "other"]))
        if change == "drop":
            del text[at]
        elif change == "double":
            text.insert(at, text[at])
        elif change == "swap":
            other = data.draw(st.integers(0, len(text) - 1))
            text[at], text[other] = text[other], text[at]
        else:
            text[at] = data.draw(st.characters())
    with suppress(RegoError, RegoSyntaxError):
        result("".join(text), {"a": [1]}, steps=5000)


def doubled(levels: int, body: str, head: str = "match") -> str:
    """A rule with values of 2 ** `levels` elements that take memory for `levels`."""
    steps = [
        f"x{level} := [x{level - 1}, x{level - 1}]\ny{level} := [y{level - 1}, y{level - 1}]"
        for level in range(1, levels + 1)
    ]
    return f"{head} if {{\nx0 := [1]\ny0 := [1]\n" + "\n".join(steps) + f"\n{body}\n}}\n"


@pytest.mark.parametrize("levels", [15, 18, 25, 40])
@pytest.mark.parametrize(
    "body",
    [
        "xN == yN",
        "xN = yN",
        "xN != yN",
        "xN < yN",
        "{xN} == {yN}",
        "{xN: 1}[yN]",
        "xN in [yN]",
        "(0, xN in [yN])",
        "count({1 | some z in [xN, yN]; z == yN}) == 1",
        "count({z: 1 | some z in [xN, yN]}) == 1",
        "count({1: z | some z in [xN, yN]}) == 1",
        "count({z | some z in [xN, yN]}) == 1",
        "sort([xN, yN])[0] == 1",
        "max([xN, yN]) == 1",
        "union({{xN}, {yN}}) == 1",
        "intersection({{xN}, {yN}}) == 1",
        "array.concat([xN], [yN]) == [yN, xN]",
        "object.get({{xN}: 1}, {yN}, 2) == 2",
        "object.subset([xN], [yN])",
        "object.subset({xN: 1}, {yN: 1})",
        "object.remove({xN: 1}, [yN]) == {}",
        'json.filter({"a": {xN: 1}}, [["a", yN]]) == {}',
        'json.patch({"a": xN}, [{"op": "test", "path": "a", "value": yN}]) == 1',
        'json.marshal(xN) == ""',
        'sprintf("%v", [xN]) == ""',
        'sprintf("%d", [xN]) == ""',
        "f(xN, yN)",
        "p == {}",
    ],
)
def test_values_that_share_are_charged_by_all_that_is_in_them(levels: int, body: str) -> None:
    last = str(levels)
    rules = (
        doubled(levels, body.replace("N", last))
        + "f(a, a) := true\n"
        + doubled(levels, f"k := [y{last}]", f"p[k] := x{last}")
        + doubled(levels, f"k := [x{last}]", f"p[k] := y{last}")
    )
    with within(3), pytest.raises(RegoError):  # it would take hours
        result(rules, steps=700)
