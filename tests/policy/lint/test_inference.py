from __future__ import annotations

import random
from typing import Any

import pytest

from octelium.policy.cel.environment import check
from octelium.policy.cel.errors import CompileError, EvaluationError, MissingDataError
from octelium.policy.cel.program import compile_program, new_frame
from octelium.policy.lint.finding import MOST
from octelium.policy.lint.inference import Outcome, infer
from octelium.policy.lint.inferred import Can
from octelium.policy.shape.contexts import Context, Setting
from tests.conftest import SEED, SOAK
from tests.peers.timing import within
from tests.policy.lint.generated import Expressions, random_context

ACCESS = Context(Setting.ACCESS, has_attrs=True)
ASSERTION = Context(Setting.ASSERTION)


def look(text: str, context: Context = ACCESS) -> Outcome:
    return infer(check(text).root, context.shape, has_attrs=context.has_attrs)


def problems(text: str, context: Context = ACCESS) -> list[tuple[str, str]]:
    return list(look(text, context).problems)


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("ctx.user.spec.emial == 'a'", "`ctx.user.spec` has no member 'emial'", "email?"),
        ("ctx['user'].spec['emial'] == 'a'", "has no member 'emial'", "email?"),
        ("has(ctx.user.spec.emial)", "has no member 'emial'", "email?"),
        ("'emial' in ctx.user.spec", "has no member 'emial'", "email?"),
        ("cel.bind(u, ctx.user, u.spec.emial == 'a')", "`u.spec` has no", "email?"),
        ("ctx.groups.exists(g, g.metadata.nam == 'x')", "`g.metadata` has no", "name?"),
        ("ctx.groups.all(g, g.metadata.nam == 'x')", "`g.metadata` has no", "name?"),
        ("ctx.groups.map(g, g.spec.foo).size() == 1", "`g.spec` has no member 'foo'", "attrs"),
        ("ctx.groups.filter(g, has(g.spec))[0].spec.foo", "has no member 'foo'", "attrs"),
        ("(true ? ctx.user : ctx.user).spec.emial == ''", "has no member 'emial'", "email?"),
        ("ctx.usr.spec.email == 'a'", "`ctx` has no member 'usr'", "user?"),
        ("ctx.user.spec.email.domain == 'a'", "is a text and has no member 'domain'", ""),
        ("ctx.groups.metadata.name == 'a'", "is a list", "ctx.groups.exists(x, x.metadata"),
        ("ctx.user.spec.email.exists(c, c == 'a')", "nothing to loop over", ""),
        ("ctx.user.spec.email['a'] == 1", "has no member 'a'", ""),
        ("ctx.user.spec.email[0] == 'a'", "is a text and has no elements", ""),
        ("ctx.service.spec.isTls", "has no member 'isTls'", "isTLS?"),
        ("ctx.request.dns.typeId == 1.0", "has no member 'typeId'", "typeID?"),
        ("ctx.device.status.osTyp == 'LINUX'", "has no member 'osTyp'", "osType?"),
    ],
)
def test_members_that_there_are_not(text: str, problem: str, remedy: str) -> None:
    [(found, advice)] = problems(text)
    assert problem in found
    assert remedy in advice


@pytest.mark.parametrize(
    "text",
    [
        "ctx.user.spec.attrs.anything.at.all == 1",
        "ctx.user.spec.attrs.level + 1 == 2",
        "ctx.user.status.ext.foo.bar",
        "ctx.user.metadata.labels.team == 'blue' || ctx.user.metadata.annotations['a/b'] == 'c'",
        "attrs.whatever[0].x.startsWith('a')",
        "ctx.request.http.headers['x-team'] == 'a' && ctx.request.http.headers.foo != 'b'",
        "ctx.request.http.queryParams.page == '1'",
        "ctx.request.http.bodyMap.a.b[0] > 3",
        "ctx.request.grpc.http.headers.te == 'trailers'",
        "json.parse(ctx.request.http.headers.x).a.b == 1",
        "ctx.groups.exists(g, g.spec.attrs.level > 2.0)",
        "ctx.user.spec.groups.exists(g, g.startsWith('a')) && 'ops' in ctx.user.spec.groups",
        "has(ctx.device) && ctx.device.status.osType == 'LINUX'",
        "ctx.user.metadata.labels.exists(k, k == 'a')",
        "'team' in ctx.user.metadata.labels",
        "{'a': ctx.user}.a.spec == ctx.user.spec",
        "dyn(ctx.user.spec.email) == 1",
        "type(ctx.user) == map",
        "ctx.user.spec.type in ['HUMAN', 'WORKLOAD']",
        "ctx.user.spec.attrs.list[ctx.user.spec.attrs.index] == ctx['user']['spec']['email']",
        "math.greatest(ctx.service.spec.port, 1.0) > 3",
        "ctx.user.spec.email == (has(ctx.user.spec.attrs.mail) ? ctx.user.spec.attrs.mail : 'x')",
    ],
)
def test_open_parts_and_right_expressions(text: str) -> None:
    assert problems(text) == []


def test_every_context_has_its_own_members() -> None:
    [(problem, remedy)] = problems("ctx.request.http.path == '/'", ASSERTION)
    assert (problem, remedy) == ("`ctx` has no member 'request'", "it has assertion, assertionMap")
    assert problems("ctx.assertionMap.amr.exists(a, a == 'mfa')", ASSERTION) == []
    assert problems("ctx.assertion.contains('mfa')", ASSERTION) == []
    [(problem, remedy)] = problems("attrs.x == ctx.assertion", ASSERTION)
    assert "`attrs` has no value here" in problem
    assert "Policies" in remedy


@pytest.mark.parametrize(
    ("text", "can"),
    [
        ("true", Can.TRUE),
        ("!true", Can.FALSE),
        ("ctx.user.spec.emial == 'a'", Can.MISSING),
        ("ctx.user.spec.emial == 'a' || true", Can.TRUE | Can.MISSING),
        ("ctx.user.spec.emial == 'a' && false", Can.FALSE | Can.MISSING),
        ("has(ctx.user.spec.emial)", Can.FALSE | Can.MISSING),
        ("ctx.service.spec.isPublic", Can.TRUE | Can.MISSING),
        ("ctx.service.spec.port + 1 > 2", Can.FAIL),
        ("false ? ctx.nothing : true", Can.TRUE),
        ("[1, 2].exists(x, x > 1)", Can.EITHER),
    ],
)
def test_outcomes(text: str, can: Can) -> None:
    assert look(text).inferred.can == can


@pytest.mark.parametrize(
    "text",
    [
        " && ".join(["!ctx.a.b"] * 800),
        " || ".join(f"!ctx.service.spec.isPublic{number}" for number in range(250)),
        " || ".join(["!ctx.service.spec.isPublic"] * 300),
        "[" * 28 + "ctx.usr" + "]" * 28 + " == []",
        "ctx.user.spec.email == '" + "x" * 9_000 + "'",
        "ctx.user.spec.type == '" + "HUMAN" * 1_900 + "'",
        "ctx.user.spec." + "x" * 9_000,
        "".join(f"ctx.groups.exists(g{number}, " for number in range(12)) + "true" + ")" * 12,
        "[" + ", ".join(["ctx.service.spec.port + 1"] * 350) + "] == []",
    ],
)
def test_no_expression_takes_long(text: str) -> None:
    root = check(text).root
    with within(1):
        found = infer(root, ACCESS.shape, has_attrs=True)
    assert len(found.problems) <= MOST
    assert all(len(problem) + len(remedy) < 1_000 for problem, remedy in found.problems)


def outcome(text: str, ctx: dict[str, Any]) -> Can:
    try:
        value = compile_program(text).evaluate(new_frame(ctx, {}, now=1e9))
    except MissingDataError:
        return Can.MISSING
    except EvaluationError:
        return Can.ERROR
    if type(value) is bool:
        return Can.TRUE if value else Can.FALSE
    return Can.VALUE


def test_nothing_happens_that_is_called_impossible() -> None:
    """Over random contexts: each outcome is one of those that were thought possible."""
    print(f"OCTELIUM_SEED={SEED} repeats this run")
    chance = random.Random(SEED)
    contexts = [random_context(chance) for _ in range(20)]
    expressions = Expressions(ACCESS.shape, chance)
    tried = narrowed = 0
    for _ in range(60_000 if SOAK else 700):
        text = expressions.boolean()
        try:
            compile_program(text)
        except CompileError:
            continue
        found = look(text)
        tried += 1
        narrowed += bool(found.problems)
        for ctx in chance.sample(contexts, 6):
            happened = outcome(text, ctx)
            assert happened & found.inferred.can, (text, happened, found, SEED)
    assert tried > 300
    assert narrowed > 30
