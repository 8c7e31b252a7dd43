from __future__ import annotations

from typing import Any

import pytest

from octelium.policy.cel.program import new_frame
from octelium.policy.cel.values import MAX_SLOTS
from octelium.policy.rego.module import LARGE
from octelium.policy.rego.needed import UNDEFINED, RegoError, RegoNeeded
from octelium.policy.rules import (
    Admission,
    Assurance,
    Requirement,
    assurance,
    authentication,
    login,
    requirement,
)
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core

LEVEL = core.SessionStatusAuthenticationInfoAal__
ACTION = core.SessionStatusAuthenticatorAction__
FAILS = "1 / int(ctx.zero) == 1"
"""An expression that fails on `CONTEXT`."""
MISSING = "ctx.nothing.at.all"
CONTEXT: dict[str, Any] = {"user": {"metadata": {"name": "ann"}}, "zero": 0.0}


def frame() -> list[object]:
    return new_frame(CONTEXT, now=1e9)


def provider(**spec: Any) -> core.IdentityProviderSpec:
    return from_json(core.IdentityProviderSpec, spec)


def aal(*rules: tuple[str, str]) -> Assurance:
    spec = provider(
        aalRules=[{"condition": {"match": text}, "aal": level} for text, level in rules]
    )
    return assurance(spec.aal_rules, frame())


def admitted(*rules: tuple[str, str]) -> Admission:
    """Both kinds of postAuthenticationRules agree."""
    forms = [{"condition": {"match": text}, "effect": effect} for text, effect in rules]
    found = login(provider(postAuthenticationRules=forms).post_authentication_rules, frame())
    settings = {"postAuthenticationRules": forms}
    other = from_json(core.ClusterConfigSpecAuthenticator, settings).post_authentication_rules
    assert authentication(other, frame()) == found
    return found


def required(available: bool, *rules: tuple[str, str]) -> Requirement:
    name = "authentication" if available else "registration"
    forms = [{"condition": {"match": text}, "effect": effect} for text, effect in rules]
    settings = from_json(core.ClusterConfigSpecAuthenticator, {f"{name}EnforcementRules": forms})
    return requirement(settings, frame(), available=available)


def test_the_first_rule_that_holds_gives_the_level() -> None:
    assert aal() == Assurance(LEVEL.AAL_UNSET)
    assert aal(("false", "AAL3")) == Assurance(LEVEL.AAL_UNSET)
    assert aal(("false", "AAL3"), ("true", "AAL2"), ("true", "AAL1")) == Assurance(LEVEL.AAL2, 1)
    for name in ("AAL1", "AAL2", "AAL3"):
        assert aal(("true", name)).level == getattr(LEVEL, name)


def test_a_rule_that_fails_gives_no_level() -> None:
    found = aal((FAILS, "AAL3"), (MISSING, "AAL3"), ("true", "AAL1"))
    assert (found.level, found.rule) == (LEVEL.AAL1, 2)
    [problem] = found.problems
    assert problem.startswith("aalRules[0]: ")
    assert aal((FAILS, "AAL3")).level == LEVEL.AAL_UNSET
    assert aal(("'text'", "AAL3"), ("ctx.a ==", "AAL3")).level == LEVEL.AAL_UNSET


def test_the_first_rule_that_holds_decides_on_a_login() -> None:
    assert admitted() == Admission(passes=True)
    assert admitted(("false", "DENY")) == Admission(passes=True)
    assert admitted(("true", "DENY")) == Admission(passes=False, rule=0)
    assert admitted(("true", "ALLOW"), ("true", "DENY")) == Admission(passes=True, rule=0)
    assert admitted(("false", "ALLOW"), ("true", "DENY")) == Admission(passes=False, rule=1)
    assert admitted((MISSING, "DENY")) == Admission(passes=True)
    assert admitted(('ctx.user.metadata.name == "ann"', "DENY")).passes is False


@pytest.mark.parametrize("effect", ["ALLOW", "DENY"])
@pytest.mark.parametrize("text", [FAILS, "'text'", "ctx.user.metadata.name", "ctx.a ==", "now()"])
def test_a_rule_that_fails_refuses_a_login(text: str, effect: str) -> None:
    found = admitted((text, effect), ("true", "ALLOW"))
    assert (found.passes, found.rule) == (False, 0)
    assert found.problem.startswith("postAuthenticationRules[0]: ")
    # What is not reached cannot fail.
    assert admitted(("true", "ALLOW"), (text, effect)) == Admission(passes=True, rule=0)


def test_a_rule_without_a_known_effect_does_not_let_in() -> None:
    rules = [
        core.IdentityProviderSpecPostAuthenticationRule(condition=core.Condition(match_any=True))
    ]
    assert not login(rules, frame()).passes


@pytest.mark.parametrize(
    ("available", "effect", "action"),
    [
        (True, "ENFORCE", ACTION.AUTHENTICATION_REQUIRED),
        (True, "RECOMMEND", ACTION.AUTHENTICATION_RECOMMENDED),
        (True, "IGNORE", ACTION.AUTHENTICATOR_ACTION_UNSET),
        (False, "ENFORCE", ACTION.REGISTRATION_REQUIRED),
        (False, "RECOMMEND", ACTION.REGISTRATION_RECOMMENDED),
        (False, "IGNORE", ACTION.AUTHENTICATOR_ACTION_UNSET),
    ],
)
def test_what_a_session_must_do(available: bool, effect: str, action: Any) -> None:
    assert required(available, ("true", effect)) == Requirement(action, 0)
    assert required(available, ("false", "ENFORCE"), ("true", effect)) == Requirement(action, 1)
    assert required(available, ("true", effect), ("true", "ENFORCE")) == Requirement(action, 0)
    assert required(available, (MISSING, effect)) == Requirement(ACTION.AUTHENTICATOR_ACTION_UNSET)


def test_without_rules_nothing_is_required() -> None:
    settings = core.ClusterConfigSpecAuthenticator()
    for available in (True, False):
        found = requirement(settings, frame(), available=available)
        assert found == Requirement(ACTION.AUTHENTICATOR_ACTION_UNSET)


def test_the_other_rules_do_not_count() -> None:
    forms = [{"condition": {"matchAny": True}, "effect": "ENFORCE"}]
    settings = from_json(
        core.ClusterConfigSpecAuthenticator, {"authenticationEnforcementRules": forms}
    )
    found = requirement(settings, frame(), available=False)
    assert found.action == ACTION.AUTHENTICATOR_ACTION_UNSET


@pytest.mark.parametrize("effect", ["ENFORCE", "IGNORE", "RECOMMEND"])
def test_a_rule_that_fails_requires_an_authenticator(effect: str) -> None:
    found = required(True, (FAILS, effect), ("true", "IGNORE"))
    assert (found.action, found.rule) == (ACTION.AUTHENTICATION_REQUIRED, 0)
    assert found.problem.startswith("authenticationEnforcementRules[0]: ")
    found = required(False, ("ctx.a ==", effect))
    assert found.action == ACTION.REGISTRATION_REQUIRED
    assert found.problem.startswith("registrationEnforcementRules[0]: ")


def test_resource_bombs_refuse() -> None:
    loop = "[1,2,3,4,5,6,7,8,9]"
    bomb = f"{loop}"
    for depth in range(7):
        bomb = f"{loop}.map(v{depth}, {bomb})"
    found = admitted((f"size({bomb}) > 0", "ALLOW"))
    assert (found.passes, found.rule) == (False, 0)
    assert MAX_SLOTS > 7


def test_the_result_of_a_module_is_asked_for() -> None:
    module = 'package octelium.condition\n\nmatch if input.ctx.user.metadata.name == "ann"\n'
    module += "#" * LARGE  # what is this long is not even compiled at once
    rule = {"condition": {"opa": {"inline": module}}, "effect": "DENY"}
    rules = provider(postAuthenticationRules=[rule]).post_authentication_rules
    for result, passes in ((True, False), (UNDEFINED, True), (RegoError("too slow"), False)):
        whole = frame()
        with pytest.raises(RegoNeeded) as caught:
            login(rules, whole)
        caught.value.answer(result)
        assert login(rules, whole).passes is passes
    levels = provider(aalRules=[{"condition": rule["condition"], "aal": "AAL2"}]).aal_rules
    with pytest.raises(RegoNeeded):
        assurance(levels, frame())
