from __future__ import annotations

import pytest

from octelium.octovigil.access.domains import MAX_CASES, Domains, Verdict
from octelium.octovigil.access.formula import FALSE, TRUE, Formula, Formulas
from octelium.policy.cel.environment import check
from octelium.policy.cel.openmap import OpenMap

CTX = OpenMap(
    {
        "request": OpenMap(
            present={"method": (), "path": (), "kind": ("A", "B"), "headers": ()},
            maybe={"flag": (True,)},
        ),
        "user": {"team": "ops"},
    },
    open=False,
)


def verdict(text: str) -> Verdict:
    return Domains().verdict(Formulas().of(check(text).root, CTX))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ctx.request.method == 'a'", "sometimes"),
        ("ctx.request.method == 'a' && ctx.request.method == 'b'", "never"),
        ("ctx.request.method == 'a' || ctx.request.method != 'a'", "always"),
        ("ctx.request.other == 'a' || ctx.request.other != 'a'", "sometimes"),
        ("ctx.request.other == 'a' || ctx.request.other != 'a' || !has(ctx.request.other)",
         "always"),
        ("ctx.request.method in ['a', 'b'] && ctx.request.method == 'c'", "never"),
        ("ctx.request.method in ['a', 'b'] && ctx.request.method == 'b'", "sometimes"),
        ("ctx.request.kind == 'A' || ctx.request.kind == 'B'", "always"),
        ("ctx.request.kind == 'C'", "never"),
        ("ctx.request.kind in ['A', 'B']", "always"),
        ("ctx.request.flag || !has(ctx.request.flag)", "always"),
        ("!ctx.request.flag", "never"),
        ("ctx.request.path.startsWith('/a') && ctx.request.path == '/b'", "never"),
        ("ctx.request.path.startsWith('/a') && ctx.request.path == '/ab'", "sometimes"),
        ("ctx.request.path.startsWith('/a') && !ctx.request.path.startsWith('/')", "never"),
        ("ctx.request.path.startsWith('/') && !ctx.request.path.startsWith('/a')", "sometimes"),
        ("ctx.request.path.startsWith('/a') && ctx.request.path.startsWith('/b')", "never"),
        ("ctx.request.path.endsWith('a') && ctx.request.path == '/b'", "never"),
        ("ctx.request.path.endsWith('a') && ctx.request.path == '/a'", "sometimes"),
        ("ctx.request.path.endsWith('a') || !ctx.request.path.endsWith('a')", "always"),
        ("ctx.request.path.matches('a') && ctx.request.path.contains('b')", "sometimes"),
        ("'x' in ctx.request.headers || ctx.request.headers['x'] == 'a'", "sometimes"),
        ("ctx.request.headers['x'] == 'a' && !('x' in ctx.request.headers)", "never"),
        ("has(ctx.request.headers.x) || !has(ctx.request.headers.x)", "always"),
        ("ctx.request.method == ctx.request.path && ctx.request.method == 'a'", "sometimes"),
        ("ctx.request.method == 'a' && ctx.request.path == 'a'", "sometimes"),
        ("ctx.request.method == ctx.user.team || ctx.request.method == 'x'", "sometimes"),
        ("now() > timestamp('2027-01-01T00:00:00Z')", "sometimes"),
        ("ctx.request.method == 1.0 || ctx.request.method != 1.0", "always"),
    ],
)  # fmt: skip
def test_verdicts(text: str, expected: str) -> None:
    assert verdict(text) is Verdict(expected)


def test_constants() -> None:
    assert Domains().verdict(TRUE) is Verdict.ALWAYS
    assert Domains().verdict(FALSE) is Verdict.NEVER


def test_too_many_cases_are_not_told_apart() -> None:
    parts = [f"(ctx.request.a{index} == 'x' || ctx.request.a{index} != 'x')" for index in range(8)]
    many = " || ".join(f"ctx.request.b{index}.contains('x')" for index in range(MAX_CASES // 64))
    never = "ctx.request.method == 'a' && ctx.request.method == 'b'"
    assert verdict(f"({never}) && ({many})") is Verdict.SOMETIMES
    assert verdict(" && ".join(parts)) is Verdict.SOMETIMES


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("ctx.request.method in ['a', 'b']",
         "ctx.request.method == 'b' || ctx.request.method == 'a'", True),
        ("ctx.request.method in ['a', 'b']", "ctx.request.method == 'a'", False),
        ("ctx.request.path.startsWith('/a')",
         "ctx.request.path.startsWith('/a') || ctx.request.path == '/ab'", True),
        ("ctx.request.kind == 'A'", "ctx.request.kind != 'B'", True),
        ("ctx.request.path.contains('a')", "ctx.request.path.contains('b')", False),
    ],
)  # fmt: skip
def test_the_same_in_other_words(one: str, two: str, expected: bool) -> None:
    formulas, domains = Formulas(), Domains()

    def made(text: str) -> Formula:
        return formulas.of(check(text).root, CTX)

    assert domains.same(made(one), made(two)) is expected
    assert domains.same(made(one), made(one))
