from __future__ import annotations

import pytest

from octelium.policy.rego import ast
from octelium.policy.rego.terms import TermParser
from octelium.policy.rego.tokens import RegoSyntaxError, tokens_of
from octelium.policy.rego.values import FALSE, TRUE


def term(text: str) -> ast.Term:
    parser = TermParser(tokens_of(text))
    found = parser.term()
    assert parser.token.kind == "end"
    return found


def statement(text: str) -> ast.Statement:
    parser = TermParser(tokens_of(text))
    found = parser.statement()
    assert parser.token.kind == "end"
    return found


def shown(node: object) -> str:
    """A term in prefix form."""
    match node:
        case ast.Scalar(value=value):
            return repr(value)
        case ast.Var(name=name):
            return name
        case ast.Ref(head=head, path=path):
            return f"{shown(head)}[{', '.join(map(shown, path))}]"
        case ast.Call(name=names, args=args):
            return f"{'.'.join(names)}({', '.join(map(shown, args))})"
        case ast.ArrayTerm(items=items):
            return f"array({', '.join(map(shown, items))})"
        case ast.SetTerm(items=items):
            return f"set({', '.join(map(shown, items))})"
        case ast.ObjectTerm(pairs=pairs):
            inner = ", ".join(f"{shown(name)}: {shown(item)}" for name, item in pairs)
            return f"object({inner})"
        case ast.Comprehension(kind=kind, key=key, value=made, body=body):
            begin = shown(made) if key is None else f"{shown(key)}: {shown(made)}"
            return f"{kind}<{begin} | {len(body)}>"
    raise AssertionError(node)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", "plus(1, mul(2, 3))"),
        ("1 - 2 - 3", "minus(minus(1, 2), 3)"),
        ("1 - -2", "minus(1, -2)"),
        ("a | b & c", "or(a, and(b, c))"),
        ("a + 1 == b - 1", "equal(plus(a, 1), minus(b, 1))"),
        ("a | b == c", "equal(or(a, b), c)"),
        ("x in xs", "internal.member_2(x, xs)"),
        ("x + 1 in [1]", "internal.member_2(plus(x, 1), array(1))"),
        ("(k, v in xs)", "internal.member_3(k, v, xs)"),
        ("((1 + 2)) * 3", "mul(plus(1, 2), 3)"),
        ("a.b[c][0]", "a['b', c, 0]"),
        ("a.if.in", "a['if', 'in']"),
        ("f(x)[0].y", "f(x)[0, 'y']"),
        ("a.b(1, 2)", "a.b(1, 2)"),
        ('a["b"](1)', "a.b(1)"),
        ("[1, 2][i]", "array(1, 2)[i]"),
        ('{"a": 1}.a', "object('a': 1)['a']"),
        ("set()", "set()"),
        ("{}", "object()"),
        ("[]", "array()"),
        ("{1, 2,}", "set(1, 2)"),
        ('{"a": {1 | 2}, }', "object('a': set<1 | 1>)"),
        ("[x | x > 1; y]", "array<x | 2>"),
        ("{x | x}", "set<x | 1>"),
        ("{k: v | some k, v in xs}", "object<k: v | 1>"),
        ("[(a | b) | true]", "array<or(a, b) | 1>"),
        ("[{a | b} | c]", "array<set<a | 1> | 1>"),
        ("[a[b | c] | d]", "array<a[or(b, c)] | 1>"),
        ("true", "true"),
        ("null", "None"),
        ("`a\\n`", "'a\\\\n'"),
        ('"a\\n"', "'a\\n'"),
        ("-1.50", "-1.5"),
        ("1e2", "100"),
        ("contains(a, b)", "contains(a, b)"),
    ],
)
def test_terms(text: str, expected: str) -> None:
    assert shown(term(text)) == expected


def test_constants() -> None:
    assert term("true") == ast.Scalar(TRUE, 1)
    assert term("false") == ast.Scalar(FALSE, 1)
    assert term("null") == ast.Scalar(None, 1)


def test_statements() -> None:
    x, y = ast.Var("x", 1), ast.Var("y", 1)
    assert statement("x := y").expression == ast.Unify(x, y, declares=True)
    assert statement("x = y").expression == ast.Unify(x, y, declares=False)
    assert statement("not x").expression == ast.Not(ast.Test(x))
    assert statement("some x, y").expression == ast.Some(("x", "y"))
    assert statement("some x in y").expression == ast.SomeIn(None, x, y)
    assert statement("some x, y in y").expression == ast.SomeIn(x, y, y)
    every = statement("every x in y { x }").expression
    assert isinstance(every, ast.Every)
    assert (every.key, every.value) == (None, "x")
    every = statement("every k, x in y {\n x\n not k\n}").expression
    assert isinstance(every, ast.Every)
    assert (every.key, every.value, len(every.body)) == ("k", "x", 2)
    modified = statement('x with input.a["b"] as y with input as 1')
    assert modified.modifiers == (
        ast.With(("a", "b"), y),
        ast.With((), ast.Scalar(1, 1)),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a term was expected, not the end"),
        ("1 +", "a term was expected"),
        ("-x", "a number was expected"),
        ("if", "a name was expected, not 'if'"),
        ("(1", "'\\)' was expected"),
        ("[1 2]", "',' or ']' was expected"),
        ('{"a": 1, 2}', "':' was expected"),
        ('{"a": 1 "b"}', "',' or '}' was expected"),
        ("[x | ]", "a term was expected"),
        ("[x | a b]", "a new line, ';' or ']'"),
        ("a[0](1)", "this cannot be called"),
        ("a.1", "a name was expected"),
        ('"\\x"', "is no string"),
        ('"\\ud800"', "is no string"),
        ("9" * 301, "more than 300 characters"),
        ("1e999", "too large"),
        ("[" * 33, "nested more than 32 levels"),
        ("(" * 33, "nested more than 32 levels"),
        ("f(" * 33, "nested more than 32 levels"),
    ],
)
def test_what_is_no_term(text: str, problem: str) -> None:
    with pytest.raises(RegoSyntaxError, match=problem):
        term(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("not not x", "an expression was expected"),
        ("not some x", "an expression was expected"),
        ("not every x in y { x }", "an expression was expected"),
        ("some x.y", "some needs names"),
        ("some 1", "some needs names"),
        ("some a, b, c in x", "a value, or a key and a value"),
        ("every x { y }", "in was expected"),
        ("every x.y in z { y }", "in was expected"),
        ("every x in y", "'{' was expected"),
        ("x with data.a as 1", "with may replace nothing but input"),
        ("x with count as 1", "with may replace nothing but input"),
        ("x with input.a", "as was expected"),
    ],
)
def test_what_is_no_statement(text: str, problem: str) -> None:
    with pytest.raises(RegoSyntaxError, match=problem):
        statement(text)
