"""Conditions, evaluated and taken apart."""

from __future__ import annotations

from typing import Any

import pytest

from octelium.octovigil.explain.evaluation import (
    ERROR,
    FALSE,
    TRUE,
    UNKNOWN,
    Evaluator,
    flow,
    known_part,
)
from octelium.policy.cel.errors import UnknownDataError
from octelium.policy.cel.parts import MAX_PARTS
from octelium.policy.cel.program import MAX_STEPS
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core

CTX: dict[str, Any] = {"user": {"name": "ann", "level": 3.0}, "request": {"http": {"path": "/"}}}


def condition(form: dict[str, Any]) -> core.Condition:
    return from_json(core.Condition, form)


@pytest.mark.parametrize(
    ("form", "verdict"),
    [
        ({"match": "ctx.user.name == 'ann'"}, TRUE),
        ({"match": "ctx.user.nope == 'ann'"}, FALSE),
        ({"not": "ctx.user.nope == 'ann'"}, TRUE),
        ({"match": "attrs.x == 1"}, TRUE),
        ({"match": "1 / 0 == 1"}, ERROR),
        ({"match": "nope("}, ERROR),
        ({"matchAny": True}, TRUE),
        ({}, FALSE),
    ],
)
def test_verdicts(form: dict[str, Any], verdict: int) -> None:
    result = Evaluator(CTX, 0).result(condition(form), {"x": 1.0})
    assert result.verdict == verdict
    assert bool(result.error) == (verdict == ERROR)


def test_each_condition_has_a_budget_of_its_own() -> None:
    ctx = {"items": [str(number) for number in range(60)]}
    evaluator = Evaluator(ctx, 0)
    loop = condition({"match": "ctx.items.all(a, ctx.items.all(b, a + b != 'x'))"})
    assert all(evaluator.result(loop, None).verdict == TRUE for _ in range(30))
    assert evaluator.steps > MAX_STEPS


def test_conditions_within_conditions() -> None:
    form = {
        "any": {
            "of": [
                {"match": "ctx.user.name == 'bob'"},
                {"all": {"of": [{"not": "ctx.user.level > 2"}, {"matchAny": True}]}},
                {"match": "ctx.user.level >= 3"},
                {"match": "1 / 0 == 1"},
            ]
        }
    }
    found = Evaluator(CTX, 0).parts(condition(form), {})
    assert [(part.depth, part.text, part.value or part.error) for part in found] == [
        (0, "{match: ctx.user.name == 'bob'}", "false"),
        (1, "ctx.user.name", '"ann"'),
        (0, "{all: {of: [{not: ctx.user.level > 2}, {matchAny: true}]}}", "false"),
        (1, "{not: ctx.user.level > 2}", "false"),
        (2, "ctx.user.level", "3.0"),
        (1, "{matchAny: true}", "not tried"),
        (0, "{match: ctx.user.level >= 3}", "true"),
        (1, "ctx.user.level", "3.0"),
        (0, "{match: 1 / 0 == 1}", "not tried"),
    ]
    failing = {"none": {"of": [{"match": "1 / 0 == 1"}, {"matchAny": True}]}}
    found = Evaluator(CTX, 0).parts(condition(failing), {})
    assert [part.error for part in found] == ["division by zero", "division by zero", "not tried"]


def test_parts_are_bounded() -> None:
    of = [{"match": f"ctx.user.name == '{number}'"} for number in range(100)]
    assert len(Evaluator(CTX, 0).parts(condition({"any": {"of": of}}), {})) == MAX_PARTS


def test_what_is_not_known() -> None:
    unknown = frozenset({("request", "http", "headers")})
    evaluator = Evaluator(CTX, 0, unknown)
    for match, verdict in (
        ("ctx.request.http.path == '/'", TRUE),
        ("ctx.request.http.headers.x == '1'", UNKNOWN),
        ("has(ctx.request.http.headers.x)", UNKNOWN),
        ("has(ctx.request.http.headers)", UNKNOWN),
        ("'x' in ctx.request.http.headers", UNKNOWN),
        ("ctx.request.http.headers.x == '1' || ctx.user.name == 'ann'", TRUE),
        ("ctx.request.http.headers.x == '1' && ctx.user.name == 'bob'", FALSE),
        ("ctx.request.http == {'path': '/'}", UNKNOWN),
        ("size(ctx.request.http) == 1", UNKNOWN),
        ("json.marshal(ctx).contains('ann')", UNKNOWN),
    ):
        assert evaluator.result(condition({"match": match}), {}).verdict == verdict, match


def test_paths_that_lead_nowhere_are_not_known_from_there_on() -> None:
    made = known_part({"a": {"b": 1.0}}, frozenset({("a", "b", "c"), ("x", "y")}))
    assert made["a"] == {}
    for read in (lambda: made["a"]["b"], lambda: made["x"], lambda: "x" in made):
        with pytest.raises(UnknownDataError):
            read()
    with pytest.raises(KeyError):
        made["z"]
    whole = {"a": 1.0}
    assert known_part(whole, frozenset()) is whole


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"match": 'ctx.user.name == "ann"'}, '{match: ctx.user.name == "ann"}'),
        ({"match": "'a' in ctx.user.groups"}, "{match: \"'a' in ctx.user.groups\"}"),
        ({"matchAny": False}, "{matchAny: false}"),
        ({"match": "ctx.x == '\u202e'"}, "{match: ctx.x == '\\u202e'}"),
        ({}, "{}"),
    ],
)
def test_conditions_as_they_stand(form: dict[str, Any], text: str) -> None:
    assert flow(condition(form)) == text


def test_a_condition_stays_on_one_line() -> None:
    text = flow(condition({"match": "true ||\n\t true"}))
    assert text.isprintable()
    assert len(flow(condition({"match": "true || " * 1000 + "true"}))) <= 2000
