"""Conditions with parts that are not known, against the same conditions when they are."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.octovigil.access.conditions import (
    ALWAYS,
    FAILS,
    NEVER,
    Check,
    Constant,
    Enforcement,
    Judgement,
    Known,
    OpenCondition,
    known_at,
    open_condition,
)
from octelium.octovigil.access.formula import FALSE, TRUE, Atom, Formulas
from octelium.octovigil.access.parties import NOW, Parts, Place, Subject
from octelium.policy.cel.openmap import OpenMap
from octelium.policy.cel.unparse import unparse
from octelium.policy.cel.values import Timestamp
from octelium.policy.condition import EvaluationError, compile_condition
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core
from tests.octovigil.world import World

NAMES = ("a", "b", "c")


def known(formulas: Formulas | None = None, **ctx: Any) -> Known:
    whole = OpenMap({"request": OpenMap(present=dict.fromkeys(NAMES, ())), **ctx}, open=False)
    return Known(formulas or Formulas(), whole, None)


def made(form: dict[str, Any], attrs: Any = None) -> OpenCondition:
    return open_condition(from_json(core.Condition, form), "Policy p, rule 1", attrs or {})


def opa(rule: str) -> dict[str, Any]:
    return {"opa": {"inline": f"package octelium.condition\n\n{rule}\n"}}


def words(judgement: Judgement) -> tuple[str, str]:
    return unparse(judgement.holds.node), unparse(judgement.fails.node)


@pytest.mark.parametrize(
    ("form", "holds", "fails"),
    [
        ({"matchAny": True}, "true", "false"),
        ({"matchAny": False}, "false", "false"),
        ({}, "false", "false"),
        ({"all": {}}, "false", "false"),
        ({"none": {}}, "false", "false"),
        ({"match": "ctx.user.x == 'y'"}, "true", "false"),
        ({"match": "ctx.user.z == 'y'"}, "false", "false"),
        ({"not": "ctx.user.z == 'y'"}, "true", "false"),
        ({"match": "ctx.user.x + 1 == 2"}, "false", "true"),
        ({"not": "ctx.user.x + 1 == 2"}, "false", "true"),
        ({"match": "ctx.request.a == 'x' &&"}, "false", "true"),
        ({"match": "ctx.request.a == attrs.t"}, 'ctx.request.a == "ops"', "false"),
        ({"not": "ctx.request.a == 'x'"}, 'ctx.request.a != "x"', "false"),
        ({"all": {"of": [{"match": "ctx.request.a == 'x'"}, {"match": "ctx.user.x + 1 == 2"}]}},
         "false", 'ctx.request.a == "x"'),
        ({"any": {"of": [{"match": "ctx.request.a == 'x'"}, {"match": "ctx.user.x + 1 == 2"}]}},
         'ctx.request.a == "x"', 'ctx.request.a != "x"'),
        ({"none": {"of": [{"match": "ctx.request.a == 'x'"}, {"match": "ctx.user.x + 1 == 2"}]}},
         "false", 'ctx.request.a != "x"'),
        ({"none": {"of": [{"match": "ctx.request.a == 'x'"}, {"match": "ctx.user.z == 2"}]}},
         'ctx.request.a != "x"', "false"),
        (opa("match if input.ctx.user.x == input.attrs.y"), "true", "false"),
        (opa('match if input.ctx.user.x == "z"'), "false", "false"),
        (opa("match := input.ctx.user.x"), "false", "true"),
        (opa("match if 1 / input.ctx.user.zero > 0"), "false", "true"),
        (opa("match if input.ctx.user.d.e"), "false", "false"),
        (opa('match if input.ctx.request.a == "x"'), 'rego("Policy p, rule 1")', "false"),
        (opa("match if count(input.ctx.request) > 0"), 'rego("Policy p, rule 1")', "false"),
        (opa("match if count(input.ctx) > 0"), 'rego("Policy p, rule 1")', "false"),
        (opa("match if time.now_ns() > 0"), 'rego("Policy p, rule 1")', "false"),
        (opa("match if count([n | some n in numbers.range(1, 9000)]) > 1"),
         'rego("Policy p, rule 1")', "false"),
        (opa("match if input.ctx.user.x ==="), "false", "true"),
    ],
)  # fmt: skip
def test_judgements(form: dict[str, Any], holds: str, fails: str) -> None:
    given_ = known(user={"x": "y", "zero": 0.0})
    assert words(made(form, {"t": "ops", "y": "y"}).judge(given_)) == (holds, fails)


def test_conditions_nested_too_deeply_fail() -> None:
    form: dict[str, Any] = {"matchAny": True}
    for _ in range(20):
        form = {"any": {"of": [form]}}
    assert made(form).judge(known()) == FAILS


def test_the_time_may_be_known_or_not() -> None:
    test = made({"match": "now() > timestamp('2027-01-01T00:00:00Z')"})
    assert NOW in test.reads
    assert words(test.judge(known()))[0].startswith("now() > ")
    later = known()._replace(now=Timestamp(2_000_000_000 * 10**9))
    assert test.judge(later) == ALWAYS


@pytest.mark.parametrize(
    ("rules", "holds", "fails"),
    [
        ([], "true", "false"),
        ([(False, {"matchAny": True})], "false", "false"),
        ([(False, {"matchAny": True}), (True, {"matchAny": True})], "true", "false"),
        ([(False, {"match": "ctx.request.a == 'x'"})], 'ctx.request.a != "x"', "false"),
        ([(False, {"match": "ctx.request.a == 'x'"}), (True, {"match": "ctx.request.b == 'x'"})],
         'ctx.request.b == "x" || ctx.request.a != "x"', "false"),
        ([(True, {"match": "1/0 == 1"})], "false", "true"),
        ([(True, {"match": "ctx.request.a == 'x'"}), (False, {"match": "1/0 == 1"})],
         'ctx.request.a == "x"', 'ctx.request.a != "x"'),
    ],
)  # fmt: skip
def test_enforcement(rules: list[tuple[bool, dict[str, Any]]], holds: str, fails: str) -> None:
    test = Enforcement([(made(form), enforces) for enforces, form in rules])
    assert words(test.judge(known())) == (holds, fails)


def test_a_judgement_is_shared_by_parties_that_look_alike() -> None:
    world = World()
    world.user("bob", type="HUMAN")
    parts, formulas = Parts(), Formulas()

    class Counting(Constant):
        reads = frozenset({("user", "spec", "type")})
        calls = 0

        def judge(self, known: Known) -> Judgement:
            assert known.ctx["user"] == {"spec": {"type": "HUMAN"}}
            self.calls += 1
            return super().judge(known)

    test = Counting(NEVER)
    check = Check(test)
    place = Place(parts, world.entry(), None)
    for name in ("ann", "bob", "ann"):
        subject = Subject(parts, world.replica.users_by_name[name])
        assert check.judge(formulas, subject, place, None) is NEVER
    assert test.calls == 1


# --- the property

leaves = st.sampled_from(
    [
        *({"match": f"ctx.request.{name} == 'x'"} for name in NAMES),
        {"not": "ctx.request.a == 'x'"},
        {"match": "1/0 == 1"},
        {"match": "ctx.request.b == 'x' || ctx.user.z == 1"},
        {"matchAny": True},
        {"matchAny": False},
    ]
)
forms = st.recursive(
    leaves,
    lambda inner: st.builds(
        lambda form, of: {form: {"of": of}},
        st.sampled_from(["all", "any", "none"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)


@given(forms)
def test_judgements_agree_with_evaluations(form: dict[str, Any]) -> None:
    condition = from_json(core.Condition, form)
    formulas = Formulas()
    judgement = open_condition(condition, "here").judge(known(formulas))
    assert formulas.both(judgement.holds, judgement.fails) is FALSE or judgement.fails is not TRUE
    compiled = compile_condition(condition)
    for values in itertools.product(("x", "y"), repeat=len(NAMES)):
        request = dict(zip(NAMES, values, strict=True))
        true = frozenset(
            atom for atom in judgement.holds.atoms | judgement.fails.atoms if _holds(atom, request)
        )
        try:
            expected = (compiled.evaluate({"request": request}), False)
        except EvaluationError:
            expected = (False, True)
        assert (judgement.holds.holds(true), judgement.fails.holds(true)) == expected


def _holds(atom: Atom, request: dict[str, str]) -> bool:
    condition = core.Condition(match=atom.text)
    return compile_condition(condition).evaluate({"request": request})


# --- Rego


def named(rule: str, place: str = "Policy p, rule 1", attrs: Any = None, **ctx: Any) -> Any:
    condition = open_condition(from_json(core.Condition, opa(rule)), place, attrs or {})
    return condition.judge(known(FORMULAS, **ctx)).holds


FORMULAS = Formulas()
READS = 'match if [input.ctx.user.x, input.attrs.t, input.ctx.request.a] == ["x"]'
WITHOUT = 'match if [input.ctx.user.x, input.ctx.request.a] == ["x"]'


def test_modules_are_equal_if_text_and_inputs_are() -> None:
    first = named(READS, attrs={"t": "a"}, user={"x": "y"})
    assert first is named(READS, attrs={"t": "a"}, user={"x": "y", "other": 1})
    assert first is named(READS, "Policy p, rule 2", {"t": "a"}, user={"x": "y"})
    assert first is not named(READS, "Policy q, rule 1", {"t": "a"}, user={"x": "y"})
    assert first is not named(f"{READS} # other", attrs={"t": "a"}, user={"x": "y"})
    assert first is not named(READS, attrs={"t": "b"}, user={"x": "y"})
    assert first is not named(READS, attrs={"t": "a"}, user={"x": "z"})
    assert named(WITHOUT, attrs={"t": "a"}) is named(WITHOUT, attrs={"t": "b"})


def test_what_is_known_at_some_paths() -> None:
    user = {"a": {"b": 1, "c": 2}, "d": OpenMap({"e": 3}, maybe={"f": ()}, open=False)}
    root: dict[str, Any] = OpenMap({"user": user, "list": [1]}, open=False)
    assert known_at([("user", "a", "b"), ("list", "x")], root) == {
        "user": {"a": {"b": 1}}, "list": [1],
    }  # fmt: skip
    assert known_at([("user", "d", "e"), ("user", "d", "g")], root) == {"user": {"d": {"e": 3}}}
    assert known_at([("gone", "x")], root) == {}
    assert known_at([("user", "d")], root) is None
    assert known_at([("user", "d", "f", "x")], root) is None
    assert known_at([()], root) is None
    assert known_at([()], user) is user
