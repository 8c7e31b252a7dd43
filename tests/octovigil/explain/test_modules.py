"""Rego in explanations: results are waited for, and told like others."""

from __future__ import annotations

from typing import Any

import pytest

from octelium.octovigil.explain.change import find_change
from octelium.octovigil.explain.explanation import explain
from octelium.octovigil.explain.modules import Modules
from octelium.policy.cel.program import new_frame
from octelium.policy.condition import compile_condition
from octelium.policy.rego.module import resolve
from octelium.policy.rego.needed import RegoError, RegoNeeded
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.octovigil.explain.asking import changed, http, inquiry, supposed, told
from tests.octovigil.world import World, inline

SHORT = 'package octelium.condition\nmatch if input.ctx.request.http.path == "/x"'
LONG = (
    "package octelium.condition\n"
    "n := count([1 | numbers.range(1, 300)[_]; numbers.range(1, 100)[_]])\n"
    'match if { n == 30000; input.ctx.request.http.path == "/x" }'
)


def opa(text: str, effect: str = "ALLOW", **rest: Any) -> dict[str, Any]:
    return {"effect": effect, "condition": {"opa": {"inline": text}}, **rest}


def world_with(*rules: dict[str, Any]) -> World:
    world = World()
    world.user("ann", authorization=inline(*rules))
    return world


@pytest.mark.parametrize("text", [SHORT, LONG])
def test_modules_are_evaluated_however_long_they_take(text: str) -> None:
    world = world_with(opa(text))
    assert told(world, http("/x")).outcome == "ALLOWED"
    explanation = told(world, http("/y"))
    assert explanation.outcome == "DENIED"
    (rule,) = explanation.rules
    assert rule.verdict == ext.Verdict__.FALSE
    assert [(part.text, part.value) for part in rule.parts] == [("ctx.request.http.path", '"/y"')]


def test_who_gets_the_results_is_asked_once_each() -> None:
    asked: list[RegoNeeded] = []

    def resolver(needed: RegoNeeded) -> None:
        asked.append(needed)
        resolve(needed)

    world = world_with(opa(LONG), opa(LONG, "DENY", priority=1))
    explanation = explain(world.replica, inquiry(http("/x")), clock=world.clock, rego=resolver)
    assert explanation.outcome == "ALLOWED"
    # The story and the decision give modules different parts of `ctx`.
    assert len(asked) == len({needed.document for needed in asked}) <= 2


def test_modules_that_fail() -> None:
    def resolver(needed: RegoNeeded) -> None:
        needed.answer(RegoError("out of order"))

    world = world_with(opa(LONG))
    explanation = explain(world.replica, inquiry(http("/x")), clock=world.clock, rego=resolver)
    assert explanation.outcome == "ERROR"
    assert "out of order" in explanation.error
    assert "package" in told(world_with(opa("package nope"))).error


def test_what_is_not_known_leaves_modules_open() -> None:
    world = world_with(opa(SHORT))
    assert told(world, http("/x"), unknown=frozenset({("http", "path")})).outcome == "DEPENDS"
    assert told(world, http("/x"), unknown=frozenset({("http",)})).outcome == "DEPENDS"
    assert told(world, http("/x"), unknown=frozenset({("http", "headers")})).outcome == "ALLOWED"


def test_a_change_beside_modules() -> None:
    edits = changed(world_with(opa(SHORT)))
    assert edits == ["let User ann use Service wiki.default: octeliumctl grant ann wiki"]
    assert changed(world_with(opa(SHORT)), http("/x")) == ["remove inline policy 1 of User ann"]
    assert find_change(supposed(world_with(opa(LONG)))) is not None


def test_demands_without_end() -> None:
    condition = compile_condition(from_json(core.Condition, {"opa": {"inline": LONG}}))
    frame = new_frame({"request": {"http": {"path": "/x"}}})
    modules = Modules()

    def forgetful() -> bool:
        try:
            return condition.test(frame)
        except RegoNeeded as needed:
            needed.document += b" "
            raise

    assert modules.answered(lambda: condition.test(frame))
    with pytest.raises(RegoError, match="more than"):
        Modules(lambda needed: needed.answer(True)).answered(_demanding)
    assert forgetful()


def _demanding() -> bool:
    condition = compile_condition(from_json(core.Condition, {"opa": {"inline": LONG}}))
    return condition.test(new_frame({}))
