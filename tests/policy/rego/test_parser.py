from __future__ import annotations

import pytest

from octelium.policy.rego import ast
from octelium.policy.rego.parser import parse
from octelium.policy.rego.tokens import RegoSyntaxError

HEAD = "package a.b\n"


def rules(text: str) -> list[tuple[str, int, bool, bool, int]]:
    """Name, number of keys, whether it is a function, an element; clauses."""
    module = parse(HEAD + text, ("a", "b"))
    return [
        (rule.name, len(rule.keys), rule.args is not None, rule.element, len(rule.clauses))
        for rule in module.rules
    ]


def test_forms_of_rules() -> None:
    assert rules("a := 1") == [("a", 0, False, False, 1)]
    assert rules("a = 1 if true") == [("a", 0, False, False, 1)]
    assert rules("a if { true }") == [("a", 0, False, False, 1)]
    assert rules("a if true else := 1 if false else := 2") == [("a", 0, False, False, 3)]
    assert rules("a contains 1 if true") == [("a", 0, False, True, 1)]
    assert rules('a.b["c"] := 1') == [("a.b.c", 0, False, False, 1)]
    assert rules("a[x].b := 1") == [("a", 2, False, False, 1)]
    assert rules("a[x] contains 1") == [("a", 1, False, True, 1)]
    assert rules("f(x, [y]) := 1") == [("f", 0, True, False, 1)]
    assert rules("a := 1; b := 2\n\nc if\n  true\n") == [
        ("a", 0, False, False, 1),
        ("b", 0, False, False, 1),
        ("c", 0, False, False, 1),
    ]
    assert rules("contains := 1") == [("contains", 0, False, False, 1)]


def test_defaults() -> None:
    module = parse(HEAD + "default a := 1\ndefault f(_) = 2", ("a", "b"))
    assert [rule.is_default for rule in module.rules] == [True, True]
    assert module.rules[1].args == (ast.Var("_", 3),)


def test_imports() -> None:
    text = "import rego.v1\nimport future.keywords\nimport input.x.y\nimport input.z as q\n"
    module = parse(HEAD + text, ("a", "b"))
    assert set(module.imports) == {"y", "q"}
    assert module.imports["q"] == ast.Ref(ast.Var("input", 5), (ast.Scalar("z", 5),), 5)


def test_lines() -> None:
    module = parse(HEAD + "\n# text\na if {\n  x\n  y\n}", ("a", "b"))
    (rule,) = module.rules
    assert rule.line == 4
    assert [statement.line for statement in rule.clauses[0].body] == [5, 6]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: a module begins with its package: package a.b"),
        ("a := 1", "begins with its package"),
        ("package a", "the package is a; it must be a.b"),
        ("package a.b.c", "it must be a.b"),
        ('package a["b"].c', "it must be a.b"),
        ("package a.b a := 1", "the end of the line was expected"),
        (HEAD + "package a.b", "a name was expected"),
        (HEAD + "import data.x", "import data.x is not offered"),
        (HEAD + "import rego.v0", "import rego.v0 is not offered"),
        (HEAD + "import input.x\nimport input.y.x", "line 3: x is imported twice"),
        (HEAD + "import input.x as", "a name was expected"),
        (HEAD + "a { true }", "line 2: this is not Rego v1: a body needs if"),
        (HEAD + "a = 1 { true }", "this is not Rego v1"),
        (HEAD + "a if { true } { false }", "this is not Rego v1"),
        (HEAD + "a if true { false }", "this is not Rego v1"),
        (HEAD + "a if { true } else { false }", "this is not Rego v1"),
        (HEAD + "f(x) { x }", "this is not Rego v1"),
        (HEAD + "a[x] { x := 1 }", "this is not Rego v1"),
        (HEAD + 'a["x"]', "neither a value nor a body"),
        (HEAD + "a", "neither a value nor a body"),
        (HEAD + "f(x)", "neither a value nor a body"),
        (HEAD + "a if true else", "else needs a value"),
        (HEAD + "a contains 1 if true else := 2", "else goes with a rule"),
        (HEAD + "a[x] := 1 if x := 1 else := 2", "else goes with a rule"),
        (HEAD + "default a if true", "default a needs a value"),
        (HEAD + "default a contains 1", "default a needs a value"),
        (HEAD + "default a[x] := 1", "default a needs a value"),
        (HEAD + "a[x](y) := 1", "a function's name has no keys"),
        (HEAD + "a := 1 b := 2", "the end of the line was expected, not 'b'"),
        (HEAD + "a if {", "a term was expected, not the end"),
        (HEAD + "a if { x y }", "a new line, ';' or '}'"),
        (HEAD + "1 := 2", "a rule was expected"),
        (HEAD + "if := 2", "a name was expected, not 'if'"),
        (HEAD + "}", "a rule was expected"),
    ],
)
def test_what_is_refused(text: str, problem: str) -> None:
    with pytest.raises(RegoSyntaxError, match=problem.replace("(", r"\(")):
        parse(text, ("a", "b"))
