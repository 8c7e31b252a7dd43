from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from octelium.cluster import provider_rules
from octelium.cluster.provider_rules import LoginRules
from octelium.identity.errors import RefusedError
from octelium.identity.provider_rules import PendingRulesError
from octelium.identity.verified import VerifiedIdentity
from octelium.policy.rego.needed import RegoError
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import lone_transaction

if TYPE_CHECKING:
    from octelium.identity.provider_rules import AuthenticatorRules, ProviderRules
    from octelium.policy.rego.needed import RegoNeeded

LEVELS = core.SessionStatusAuthenticationInfoAal__
ACTIONS = core.SessionStatusAuthenticatorAction__
SLOW = """package octelium.condition
match if { input.ctx.user; count([n | n := numbers.range(1, 1000)[_]; n % 7 == 0]) > 1 }
"""


def make() -> LoginRules:
    return LoginRules(lone_transaction())


def provider(spec: dict[str, Any], annotation: str | None = None) -> core.IdentityProvider:
    metadata: dict[str, Any] = {"name": "okta", "uid": "u"}
    if annotation is not None:
        metadata["annotations"] = {"groups-config": annotation}
    return from_json(
        core.IdentityProvider, {"kind": "IdentityProvider", "metadata": metadata, "spec": spec}
    )


def verified(of: core.IdentityProvider, **more: Any) -> VerifiedIdentity:
    return VerifiedIdentity(of, "u-1", **more)


def user(name: str = "ann") -> core.User:
    return from_json(core.User, {"kind": "User", "metadata": {"name": name}})


def test_it_is_what_identity_asks_for() -> None:
    rules: tuple[ProviderRules, AuthenticatorRules] = (make(), make())
    assert rules


def test_levels_by_claims_and_by_the_text_of_an_assertion(caplog: pytest.LogCaptureFixture) -> None:
    okta = provider(
        {
            "aalRules": [
                {"condition": {"match": "1 / int(ctx.assertionMap.zero) == 1"}, "aal": "AAL3"},
                {"condition": {"match": '"hwk" in ctx.assertionMap.amr'}, "aal": "AAL3"},
                {"condition": {"match": 'ctx.assertion.contains("mfa")'}, "aal": "AAL2"},
            ]
        }
    )
    aal = make().aal
    assert aal(okta, verified(okta, claims={"amr": ["pwd", "hwk"]})) == LEVELS.AAL3
    assert aal(okta, verified(okta, assertion="<a>mfa</a>")) == LEVELS.AAL2
    assert aal(okta, verified(okta, claims={"amr": ["pwd"]})) == LEVELS.AAL_UNSET
    assert not caplog.records
    assert aal(okta, verified(okta, claims={"zero": 0, "amr": ["hwk"]})) == LEVELS.AAL3
    assert "aalRules[0]" in caplog.text
    assert aal(provider({}), verified(okta)) == LEVELS.AAL_UNSET


@pytest.mark.parametrize(
    ("rules", "passes"),
    [
        ([], True),
        ([{"condition": {"matchAny": True}, "effect": "DENY"}], False),
        ([{"condition": {"match": "ctx.user.metadata.name == 'eve'"}, "effect": "DENY"}], True),
        (
            [
                {"condition": {"match": "ctx.authenticationInfo.aal == 'AAL3'"}, "effect": "ALLOW"},
                {"condition": {"matchAny": True}, "effect": "DENY"},
            ],
            True,
        ),
        (
            [
                {
                    "condition": {"match": "ctx.identityProvider.metadata.name == 'okta'"},
                    "effect": "DENY",
                }
            ],
            False,
        ),
        ([{"condition": {"match": "1 / 0 == 1"}, "effect": "ALLOW"}], False),
    ],
)
def test_logins(rules: list[dict[str, Any]], passes: bool) -> None:
    okta = provider({"postAuthenticationRules": rules})
    info = core.SessionStatusAuthenticationInfo(aal=LEVELS.AAL3)
    if passes:
        make().post_authentication(okta, user(), info)
        return
    with pytest.raises(RefusedError) as caught:
        make().post_authentication(okta, user(), info)
    assert "postAuthenticationRules[0]" in caught.value.detail
    assert "postAuthenticationRules" not in caught.value.answer


def with_config(data: dict[str, Any]) -> LoginRules:
    tx = lone_transaction()
    tx.create(
        from_json(core.Config, {"kind": "Config", "metadata": {"name": "takes"}, "data": data})
    )
    return LoginRules(tx)


def test_groups() -> None:
    rules = with_config({"attrs": {"groups": "ctx.assertionMap.groups"}})
    okta = provider({}, "takes")
    assert rules.groups(okta, verified(okta, claims={"groups": ["a", "b"]})) == ["a", "b"]
    assert rules.groups(okta, verified(okta)) == []
    assert rules.groups(provider({}), verified(okta, claims={"groups": ["a"]})) == []


@pytest.mark.parametrize(
    ("data", "annotation", "claims"),
    [
        ({"attrs": {"groups": "ctx.assertionMap.groups"}}, "gone", {}),
        ({"attrs": {"groups": "ctx.assertionMap.groups"}}, "", {}),
        ({"value": "x"}, "takes", {}),
        ({"attrs": {"groups": "ctx.("}}, "takes", {}),
        ({"attrs": {"groups": "ctx.assertionMap.groups"}}, "takes", {"groups": "ops"}),
    ],
)
def test_groups_that_cannot_be_taken_refuse(
    data: dict[str, Any], annotation: str, claims: dict[str, Any]
) -> None:
    okta = provider({}, annotation)
    with pytest.raises(RefusedError) as caught:
        with_config(data).groups(okta, verified(okta, claims=claims))
    assert caught.value.detail


def test_authenticators_that_are_required(caplog: pytest.LogCaptureFixture) -> None:
    config = from_json(
        core.ClusterConfig,
        {
            "kind": "ClusterConfig",
            "spec": {
                "authenticator": {
                    "authenticationEnforcementRules": [
                        {
                            "condition": {"match": "ctx.authenticatorList.items.size() == 1"},
                            "effect": "ENFORCE",
                        },
                    ],
                    "registrationEnforcementRules": [
                        {
                            "condition": {"match": "ctx.user.metadata.name == 'ann'"},
                            "effect": "RECOMMEND",
                        },
                        {
                            "condition": {
                                "match": "1 / int(size(ctx.user.metadata.name) - 3) == 7"
                            },
                            "effect": "IGNORE",
                        },
                    ],
                }
            },
        },
    )
    own = core.Authenticator()
    own.metadata.name = "totp-1"
    okta = provider({})

    def wanted(*usable: core.Authenticator, name: str = "ann") -> int:
        return make().requirement(config, user(name), okta, core.Session(), usable)

    assert wanted(own) == ACTIONS.AUTHENTICATION_REQUIRED
    assert wanted() == ACTIONS.REGISTRATION_RECOMMENDED
    assert wanted(name="anna") == ACTIONS.AUTHENTICATOR_ACTION_UNSET
    assert not caplog.records
    assert wanted(name="bob") == ACTIONS.REGISTRATION_REQUIRED
    assert "registrationEnforcementRules[1]" in caplog.text


def test_authenticators_that_count() -> None:
    config = core.ClusterConfig()
    info = core.SessionStatusAuthenticationInfo()
    arguments = (core.Authenticator(), user(), core.Session(), info)
    make().post_authenticator(config, *arguments)
    rule = config.spec.authenticator.post_authentication_rules.add()
    rule.condition.match = "ctx.user.metadata.name == 'ann'"
    rule.effect = core.ClusterConfigSpecAuthenticatorRuleEffect__.DENY
    with pytest.raises(RefusedError):
        make().post_authenticator(config, *arguments)


class Elsewhere:
    """Evaluates every module to one result."""

    def __init__(self, result: object) -> None:
        self.result = result
        self.asked: list[RegoNeeded] = []

    async def evaluate(self, needed: RegoNeeded, deadline: float) -> object:
        assert deadline > time.monotonic()
        self.asked.append(needed)
        if isinstance(self.result, RegoError):
            raise self.result
        return self.result


@pytest.mark.parametrize(
    ("elsewhere", "passes"),
    [
        (Elsewhere(True), True),
        (Elsewhere(False), False),
        (Elsewhere(RegoError("broken")), False),
        (None, False),
    ],
)
async def test_modules_that_take_long(
    monkeypatch: pytest.MonkeyPatch, elsewhere: Elsewhere | None, passes: bool
) -> None:
    monkeypatch.setattr(provider_rules, "MAX_INLINE", 10)
    rules = [
        {"condition": {"opa": {"inline": SLOW}}, "effect": "ALLOW"},
        {"condition": {"matchAny": True}, "effect": "DENY"},
    ]
    okta = provider({"postAuthenticationRules": rules})
    info = core.SessionStatusAuthenticationInfo()
    login = LoginRules(lone_transaction(), elsewhere, clock=lambda: 1000.0)

    def attempt() -> None:
        login.post_authentication(okta, user(), info)

    with pytest.raises(PendingRulesError) as pending:
        attempt()
    await pending.value.settle()
    if passes:
        attempt()
    else:
        with pytest.raises(RefusedError):
            attempt()
    if elsewhere is not None:
        assert len(elsewhere.asked) == 1


async def test_results_do_not_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_rules, "MAX_INLINE", 10)
    monkeypatch.setattr(provider_rules, "_MOST_RESULTS", 2)
    spec = {
        "postAuthenticationRules": [{"condition": {"opa": {"inline": SLOW}}, "effect": "ALLOW"}]
    }
    okta = provider(spec)
    now = 1000.0
    login = LoginRules(lone_transaction(), Elsewhere(True), clock=lambda: now)
    for name in ("ann", "bob", "eve"):
        info = core.SessionStatusAuthenticationInfo()
        with pytest.raises(PendingRulesError) as pending:
            login.post_authentication(okta, user(name), info)
        await pending.value.settle()
        login.post_authentication(okta, user(name), info)
    with pytest.raises(PendingRulesError):  # forgotten, as there were too many
        login.post_authentication(okta, user("ann"), info)
    now += 3
    with pytest.raises(PendingRulesError):  # too old
        login.post_authentication(okta, user("eve"), info)


async def test_a_module_that_takes_long_is_paid_for_by_who_signs_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever's module hangs keeps others neither waiting nor out."""
    monkeypatch.setattr(provider_rules, "MAX_INLINE", 0)
    slow = {"opa": {"inline": SLOW.replace("input.ctx.user", "input.ctx")}}
    okta = provider(
        {
            "aalRules": [{"condition": slow, "aal": "AAL2"}],
            "postAuthenticationRules": [{"condition": slow, "effect": "ALLOW"}],
        }
    )
    config = core.ClusterConfig()
    config.spec.authenticator.post_authentication_rules.add().condition.opa.inline = SLOW + "\n"
    config.spec.authenticator.authentication_enforcement_rules.add().condition.opa.inline = SLOW
    elsewhere = Elsewhere(True)
    login = LoginRules(lone_transaction(), elsewhere)
    info = core.SessionStatusAuthenticationInfo()
    info.identity_provider.identifier = "u-1"
    ann = user()
    ann.metadata.uid = "uid-of-ann"
    authenticator, session = core.Authenticator(), core.Session()
    for attempt in (
        lambda: login.aal(okta, verified(okta, claims={"a": 1})),
        lambda: login.post_authentication(okta, ann, info),
        lambda: login.requirement(config, ann, okta, session, [authenticator]),
        lambda: login.post_authenticator(config, authenticator, ann, session, info),
    ):
        with pytest.raises(PendingRulesError) as pending:
            attempt()
        await pending.value.settle()
    assert [needed.results.asker for needed in elsewhere.asked] == [
        "u-1 at the IdentityProvider okta",
        "u-1 at the IdentityProvider okta",
        "uid-of-ann",
        "uid-of-ann",
    ]
