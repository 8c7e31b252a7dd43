from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octelium.policy.cel.environment import check
from octelium.policy.cel.errors import CompileError, EvaluationError
from octelium.policy.cel.program import compile_program, new_frame
from octelium.policy.cel.reads import analyze, minimal
from tests.conftest import SOAK
from tests.policy.cel import oracle


def reads(text: str) -> set[str]:
    return {".".join(path) for path in analyze(check(text).root).paths}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", set()),
        ("attrs.x == 1", set()),
        ("ctx.user.spec.type == 'HUMAN'", {"user.spec.type"}),
        ("ctx['user'].spec['type'] == 'HUMAN'", {"user.spec.type"}),
        ("has(ctx.device.spec)", {"device.spec"}),
        ("!has(ctx.device)", {"device"}),
        ("ctx.a.b == 1 && ctx.a == ctx.c", {"a", "c"}),
        ("'x' in ctx.request.http.headers", {"request.http.headers.x"}),
        ("ctx.request.ip in ['a', 'b']", {"request.ip"}),
        ("ctx.user.spec.email in ctx.a.list", {"user.spec.email", "a.list"}),
        ("ctx.request.http.headers[ctx.user.spec.attrs.h] == 'x'",
         {"request.http.headers", "user.spec.attrs.h"}),
        ("ctx.list[0].name == 'x'", {"list"}),
        ("ctx[ctx.user.metadata.name]", {""}),
        ("json.marshal(ctx).contains('x')", {""}),
        ("json.marshal(ctx.user).contains('x')", {"user"}),
        ("ctx == {}", {""}),
        ("ctx.groups.exists(g, g.metadata.name == ctx.user.metadata.name)",
         {"groups", "user.metadata.name"}),
        ("cel.bind(u, ctx.user.spec, u.email == 'a' || u.type == 'b')",
         {"user.spec.email", "user.spec.type"}),
        ("cel.bind(u, ctx.user, size(u) > 0)", {"user"}),
        ("cel.bind(c, ctx, c.user.spec.type == 'x')", {"user.spec.type"}),
        ("(ctx.a ? ctx.b : ctx.c).d == 1", {"a", "b.d", "c.d"}),
        ("dyn(ctx.a).b == 1", {"a.b"}),
        ("{'k': ctx.a}.k.b == 1", {"a"}),
        ("[ctx.a][0].b == 1", {"a"}),
        ("[1].exists(ctx, ctx == 1)", set()),
        ("[ctx.a].map(x, x.b)", {"a"}),
        ("size(ctx.user.spec.groups) > 1", {"user.spec.groups"}),
        ("timestamp(ctx.session.metadata.createdAt) < now()", {"session.metadata.createdAt"}),
    ],
)  # fmt: skip
def test_paths(text: str, expected: set[str]) -> None:
    assert reads(text) == expected


def test_the_clock() -> None:
    assert analyze(check("now() > timestamp('2026-01-01T00:00:00Z')").root).volatile
    assert analyze(check("[1].exists(x, x > 0 && time.isWeekend(now()))").root).volatile
    assert not analyze(check("ctx.now == 'now()'").root).volatile


def test_minimal() -> None:
    assert minimal({("a", "b"), ("a",), ("c", "d")}) == {("a",), ("c", "d")}
    assert minimal({(), ("a",)}) == {()}


def prune(value: Any, paths: frozenset[tuple[str, ...]], at: tuple[str, ...] = ()) -> Any:
    """Replace everything that stands at no path of `paths` by something else."""
    if at in paths:
        return value
    if any(path[: len(at)] == at for path in paths) and isinstance(value, dict):
        return {key: prune(item, paths, (*at, key)) for key, item in value.items()}
    if any(path[: len(at)] == at for path in paths):
        return value
    return {"changed": ["beyond", 1.0, None]}


def outcome(text: str, context: dict[str, Any]) -> object:
    try:
        return oracle.plain(compile_program(text).evaluate(new_frame(context, {})))
    except EvaluationError as error:
        return type(error)


@settings(max_examples=2000 if SOAK else 100, deadline=None)
@given(st.one_of(oracle.expressions(), oracle.conditions()))
def test_what_is_not_read_does_not_matter(text: str) -> None:
    try:
        program = compile_program(text)
    except CompileError:
        return
    changed = prune(oracle.NORMAL, program.reads)
    assert outcome(text, changed) == outcome(text, oracle.NORMAL)
