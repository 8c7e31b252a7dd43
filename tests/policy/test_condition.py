from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel.errors import CompileError, EvaluationError
from octelium.policy.cel.program import new_frame
from octelium.policy.condition import (
    MAX_DEPTH,
    CompiledCondition,
    ConditionError,
    compile_condition,
)
from octelium.policy.rego.module import resolve
from octelium.policy.rego.needed import UNDEFINED, RegoError, RegoNeeded
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core

YES: dict[str, Any] = {"matchAny": True}
NO: dict[str, Any] = {"matchAny": False}
BROKEN: dict[str, Any] = {"match": "1 / 0 > 1"}
MISSING: dict[str, Any] = {"match": "ctx.nope == 1"}


def compiled(form: dict[str, Any]) -> CompiledCondition:
    return compile_condition(from_json(core.Condition, form))


def holds(form: dict[str, Any], **ctx: Any) -> bool:
    return compiled(form).evaluate(ctx)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (YES, True),
        (NO, False),
        ({}, False),
        ({"match": "ctx.a == 1"}, True),
        ({"match": "ctx.a == 2"}, False),
        ({"not": "ctx.a == 1"}, False),
        ({"not": "ctx.a == 2"}, True),
        (MISSING, False),
        ({"not": "ctx.nope == 1"}, True),
        ({"not": "!(ctx.nope == 1)"}, True),
        ({"all": {"of": [YES, YES]}}, True),
        ({"all": {"of": [YES, NO]}}, False),
        ({"any": {"of": [NO, YES]}}, True),
        ({"any": {"of": [NO, NO]}}, False),
        ({"none": {"of": [NO, NO]}}, True),
        ({"none": {"of": [NO, YES]}}, False),
        ({"all": {"of": []}}, False),
        ({"any": {"of": []}}, False),
        ({"none": {"of": []}}, False),
        ({"none": {}}, False),
        ({"all": {"of": [YES, {"any": {"of": [NO, {"none": {"of": [NO]}}]}}]}}, True),
        ({"all": {"of": [{}]}}, False),
        ({"none": {"of": [{}]}}, True),
        # Evaluation stops at the first child that decides.
        ({"all": {"of": [NO, BROKEN]}}, False),
        ({"any": {"of": [YES, BROKEN]}}, True),
        ({"none": {"of": [YES, BROKEN]}}, False),
    ],
)
def test_forms(form: dict[str, Any], expected: bool) -> None:
    assert holds(form, a=1) is expected


@pytest.mark.parametrize(
    "form",
    [
        BROKEN,
        {"not": "1 / 0 > 1"},
        {"match": "ctx.a"},
        {"not": "ctx.a"},
        {"all": {"of": [YES, BROKEN]}},
        {"all": {"of": [BROKEN, NO]}},
        {"any": {"of": [BROKEN, YES]}},
        {"none": {"of": [NO, BROKEN]}},
        {"any": {"of": [{"all": {"of": [BROKEN]}}, YES]}},
    ],
)
def test_an_error_ends_the_whole(form: dict[str, Any]) -> None:
    with pytest.raises(EvaluationError):
        holds(form, a=1)


def test_attrs_are_absent_or_given() -> None:
    condition = compiled({"match": "attrs.level == 3"})
    assert condition.evaluate({}, {"level": 3})
    assert not condition.evaluate({}, {})
    assert not condition.evaluate({})


def test_what_it_reads() -> None:
    condition = compiled(
        {
            "any": {
                "of": [
                    {"match": "ctx.user.spec.type == 'HUMAN'"},
                    {"not": "ctx.request.http.path == '/'"},
                    {"none": {"of": [{"match": "ctx.request.http.path.startsWith('/a')"}]}},
                ]
            }
        }
    )
    assert condition.reads == {("user", "spec", "type"), ("request", "http", "path")}
    assert not condition.volatile
    assert not condition.whole
    assert not condition.only_request
    assert compiled({"match": "ctx.request.ip == ''"}).only_request
    assert compiled({"any": {"of": [NO, {"match": "now() > timestamp(0)"}]}}).volatile
    assert compiled({"match": "json.marshal(ctx) == ''"}).whole
    assert not compiled(YES).only_request


@pytest.mark.parametrize(
    ("form", "path"),
    [
        ({"match": "nope("}, "match"),
        ({"not": "nope("}, "not"),
        ({"all": {"of": [YES, {"match": "nope("}]}}, "all.of[1].match"),
        ({"none": {"of": [{"any": {"of": [{"not": ""}]}}]}}, "none.of[0].any.of[0].not"),
        ({"match": "'a'.matches('(')"}, "match"),
    ],
)
def test_errors_name_the_part(form: dict[str, Any], path: str) -> None:
    with pytest.raises(ConditionError) as caught:
        compiled(form)
    assert caught.value.path == path
    assert str(caught.value).startswith(path)


def test_modules_that_cannot_be_used() -> None:
    form = {"any": {"of": [YES, {"opa": {"inline": "package octelium.condition"}}]}}
    with pytest.raises(ConditionError, match="no rule defines match") as caught:
        compiled(form)
    assert caught.value.path == "any.of[1].opa.inline"


def test_a_module_is_evaluated() -> None:
    text = "package octelium.condition\nmatch if input.ctx.user.age > 1"
    condition = compiled({"none": {"of": [{"match": "ctx.x"}, {"opa": {"inline": text}}]}})
    assert condition.reads == {("x",), ("user", "age")}
    assert not condition.volatile
    assert condition.evaluate({"user": {"age": 1.0}})
    assert not condition.evaluate({"user": {"age": 2.0}})
    assert condition.evaluate({})
    wrong = compiled({"opa": {"inline": "package octelium.condition\nmatch := input.ctx.x"}})
    assert wrong.evaluate({"x": True})
    assert not wrong.evaluate({"x": False})
    assert not wrong.evaluate({})
    values: list[Any] = ["true", 1, None, {}, []]
    for value in values:
        with pytest.raises(EvaluationError, match="true or false"):
            wrong.evaluate({"x": value})


def test_a_module_that_takes_long_is_asked_for() -> None:
    text = """package octelium.condition
match if count([1 | some a in input.ctx.a; some b in input.ctx.a; a < b]) > 5"""
    condition = compiled({"opa": {"inline": text}})
    frame = new_frame({"a": [float(number) for number in range(200)], "b": 1.0})
    with pytest.raises(RegoNeeded) as caught:
        condition.test(frame)
    assert caught.value.document.startswith(b'{"ctx":{"a":[0,1,')
    for result, expected in ((True, True), (False, False), (UNDEFINED, False)):
        caught.value.answer(result)
        assert condition.test(frame) is expected
    caught.value.answer(RegoError("division by zero"))
    with pytest.raises(EvaluationError, match="division by zero"):
        condition.test(frame)
    resolve(caught.value)
    assert condition.test(frame)


def test_depth_is_bounded() -> None:
    form = YES
    for _ in range(MAX_DEPTH - 1):
        form = {"all": {"of": [form]}}
    assert holds(form)
    with pytest.raises(CompileError, match="levels deep"):
        holds({"all": {"of": [form]}})


CONDITIONS = st.recursive(
    st.sampled_from([YES, NO, BROKEN, MISSING, {}, {"not": "ctx.nope == 1"}]),
    lambda inner: st.builds(
        lambda form, of: {form: {"of": of}},
        st.sampled_from(["all", "any", "none"]),
        st.lists(inner, max_size=3),
    ),
    max_leaves=8,
)


def model(form: dict[str, Any]) -> bool:
    """The meaning of a condition, spelled out."""
    if not form:
        return False
    ((kind, value),) = form.items()
    if kind == "matchAny":
        return bool(value)
    if kind == "match":
        if value == BROKEN["match"]:
            raise EvaluationError
        return False
    if kind == "not":
        return True
    if not value["of"]:
        return False
    wanted = {"all": False, "any": True, "none": True}[kind]
    for part in value["of"]:
        if model(part) is wanted:
            return kind == "any"
    return kind != "any"


@given(CONDITIONS)
def test_nested_conditions(form: dict[str, Any]) -> None:
    try:
        expected = model(form)
    except EvaluationError:
        with pytest.raises(EvaluationError):
            holds(form)
        return
    assert holds(form) is expected
