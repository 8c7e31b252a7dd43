from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.policy.checker import Checker
from octelium.schema.errors import Invalid
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.policy.rego.module import RegoModule
    from octelium.schema.validation import ExpressionChecker


class Verdicts:
    """Knows one module that cannot be compiled, and one that nobody has tried."""

    def problem(self, module: RegoModule) -> str | None:
        if "unsafe" in module.text:
            return "line 2: unsafe is not defined"
        return None if "untried" in module.text else ""


CHECKER: ExpressionChecker = Checker(Verdicts())
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
        ({"opa": {"inline": REGO + "x.unsafe"}}, "opa.inline", "line 2: unsafe is not defined"),
        (
            {"all": {"of": [{"opa": {"inline": REGO + "input.untried"}}]}},
            "all.of[0].opa.inline",
            "not been compiled",
        ),
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


def test_without_a_compiler_rego_is_refused() -> None:
    condition = from_json(core.Condition, {"opa": {"inline": f"{REGO} true"}})
    CHECKER.check_condition(condition, "c")
    with pytest.raises(Invalid, match=r"c.opa.inline: Rego is not offered here"):
        Checker().check_condition(condition, "c")
