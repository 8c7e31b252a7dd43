from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.policy.checker import Checker
from octelium.schema.errors import Invalid
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.schema.validation import ExpressionChecker

CHECKER: ExpressionChecker = Checker()
REGO = "package octelium.condition\nmatch if "


def check(form: dict[str, Any]) -> None:
    CHECKER.check_condition(from_json(core.Condition, form), "spec.rules[0].condition")


def test_good_expressions_pass() -> None:
    check({"match": "ctx.user.spec.type == 'HUMAN'"})
    check({"match": "ctx.user.spec.isDisabled"})
    check({"all": {"of": [{"matchAny": False}, {"not": "attrs.x.y > 1"}]}})
    CHECKER.check_cel("{'upstream': {'url': 'http://a'}}", "spec.eval")


@pytest.mark.parametrize(
    ("form", "path", "problem"),
    [
        ({"match": "ctx.user ="}, "match", "Syntax error"),
        ({"match": "usr.name == 'a'"}, "match", "undeclared"),
        ({"not": "ctx.a.hasSome([1])"}, "not", "undeclared"),
        ({"match": "'text'"}, "match", "STRING"),
        ({"not": "1 + 1"}, "not", "INT"),
        ({"match": "[ctx.a]"}, "match", "LIST"),
        ({"any": {"of": [{"matchAny": True}, {"match": "now()"}]}}, "any.of[1].match", "TIMESTAMP"),
        ({"opa": {"inline": "package octelium.condition"}}, "opa.inline", "no rule defines match"),
        ({"opa": {"inline": REGO + "x.y"}}, "opa.inline", "line 2: x is unsafe"),
        (
            {"all": {"of": [{"opa": {"inline": REGO + "http.send({})"}}]}},
            "all.of[0].opa.inline",
            "http.send may not be called",
        ),
        ({"opa": {"inline": REGO + "x.y\n" + "#" * 9000}}, "opa.inline", "line 2: x is unsafe"),
        ({"match": "ctx.a.matches('[')"}, "match", "regular expression"),
    ],
)
def test_bad_conditions(form: dict[str, Any], path: str, problem: str) -> None:
    with pytest.raises(Invalid) as caught:
        check(form)
    assert caught.value.path == f"spec.rules[0].condition.{path}"
    assert problem in str(caught.value)


def test_bad_values() -> None:
    with pytest.raises(Invalid, match=r"spec.eval: line 1"):
        CHECKER.check_cel("foo(", "spec.eval")
    with pytest.raises(Invalid, match=r"spec.opa: line 1: no rule defines result"):
        CHECKER.check_rego("package octelium.eval", "spec.opa")
    with pytest.raises(Invalid, match=r"it must be octelium\.eval"):
        CHECKER.check_rego(f"{REGO} true", "spec.opa")
    with pytest.raises(Invalid, match=r"spec.opa: line 2: unsafe"):
        CHECKER.check_rego("package octelium.eval\nresult := unsafe", "spec.opa")
    CHECKER.check_rego("package octelium.eval\nresult := {}", "spec.opa")
