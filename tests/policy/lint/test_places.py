from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from octelium.policy.checker import Checker
from octelium.policy.lint.places import Place, places
from octelium.policy.shape.contexts import Setting
from octelium.policy.shape.shape import Kind
from octelium.schema import fields
from octelium.schema.errors import Invalid
from octelium.schema.jsonform import from_json
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation import resource as _registers_all_rules
from octelium.schema.validation.rules import Validator, _plan

if TYPE_CHECKING:
    from collections.abc import Iterator

MATCH = {"match": "true"}
RULE = {"effect": "ALLOW", "condition": MATCH}
INLINE = {
    "inlinePolicies": [
        {"spec": {"rules": [RULE], "enforcementRules": [{**RULE, "effect": "IGNORE"}]}}
    ]
}
ENFORCE = [{"effect": "ENFORCE", "condition": MATCH}]
SERVICE = {
    "mode": "HTTP",
    "authorization": INLINE,
    "config": {
        "http": {
            "header": {
                "addRequestHeaders": [{"key": "a", "value": "b"}, {"key": "c", "eval": "ctx.a"}],
                "host": {"eval": "ctx.b"},
            },
            "plugins": [
                {
                    "name": "p",
                    "condition": MATCH,
                    "phase": "PRE_AUTH",
                    "rateLimit": {"key": {"eval": "ctx.c"}},
                },
                {"name": "q", "condition": MATCH, "cache": {"key": {"eval": "ctx.d"}}},
            ],
        }
    },
    "dynamicConfig": {
        "configs": [{"name": "x", "llm": {"model": {"eval": "ctx.e"}}}],
        "rules": [
            {"condition": MATCH, "eval": "{}"},
            {"condition": {"opa": {"inline": "package octelium.condition"}}, "configName": "x"},
        ],
    },
}  # fmt: skip


def found(kind: str, spec: dict[str, Any]) -> list[Place]:
    return list(places(from_json(KINDS[kind].message, {"kind": kind, "spec": spec})))


def test_places_of_a_service() -> None:
    listed = [
        (place.path.removeprefix("spec."), place.setting, place.in_policy, place.kind)
        for place in found("Service", SERVICE)
    ]
    access, before = Setting.ACCESS, Setting.BEFORE_AUTHENTICATION
    assert sorted(listed, key=lambda item: item[0]) == [
        ("authorization.inlinePolicies[0].spec.enforcementRules[0].condition", access, True, None),
        ("authorization.inlinePolicies[0].spec.rules[0].condition", access, True, None),
        ("config.http.header.addRequestHeaders[1].eval", access, False, Kind.STRING),
        ("config.http.header.host.eval", access, False, Kind.STRING),
        ("config.http.plugins[0].condition", before, False, None),
        ("config.http.plugins[0].rateLimit.key.eval", before, False, Kind.STRING),
        ("config.http.plugins[1].cache.key.eval", access, False, Kind.STRING),
        ("config.http.plugins[1].condition", access, False, None),
        ("dynamicConfig.configs[0].llm.model.eval", access, False, Kind.STRING),
        ("dynamicConfig.rules[0].condition", access, False, None),
        ("dynamicConfig.rules[0].eval", access, False, Kind.MAP),
        ("dynamicConfig.rules[1].condition", access, False, None),
    ]


@pytest.mark.parametrize(
    ("kind", "spec", "paths"),
    [
        ("Policy", {"rules": [RULE, RULE]}, ["rules[0].condition", "rules[1].condition"]),
        ("User", {"authorization": INLINE}, None),
        ("Group", {"authorization": INLINE}, None),
        ("Namespace", {"authorization": INLINE}, None),
        ("Credential", {"authorization": INLINE}, None),
        ("Session", {"authorization": INLINE}, None),
        ("Device", {"authorization": INLINE}, None),
        ("ClusterConfig", {"authorization": INLINE}, None),
        ("Secret", {}, []),
        ("Region", {}, []),
    ],
)
def test_places_of_policies(kind: str, spec: dict[str, Any], paths: list[str] | None) -> None:
    inline = "authorization.inlinePolicies[0].spec."
    expected = paths
    if expected is None:
        expected = [f"{inline}rules[0].condition", f"{inline}enforcementRules[0].condition"]
    listed = found(kind, spec)
    assert [place.path.removeprefix("spec.") for place in listed] == expected
    assert all(place.in_policy and place.setting is Setting.ACCESS for place in listed)


def test_places_of_logins() -> None:
    rules = {
        "aalRules": [{"condition": MATCH, "aal": "AAL2"}],
        "postAuthenticationRules": [{"condition": MATCH, "effect": "DENY"}],
    }
    listed = found("IdentityProvider", rules)
    assert {place.path: place.setting for place in listed} == {
        "spec.aalRules[0].condition": Setting.ASSERTION,
        "spec.postAuthenticationRules[0].condition": Setting.LOGIN,
    }
    authenticator = {
        "registrationEnforcementRules": ENFORCE,
        "authenticationEnforcementRules": ENFORCE,
        "postAuthenticationRules": [{"condition": MATCH, "effect": "DENY"}],
    }
    listed = found("ClusterConfig", {"authenticator": authenticator})
    assert {place.path: place.setting for place in listed} == {
        "spec.authenticator.registrationEnforcementRules[0].condition": Setting.ENFORCEMENT,
        "spec.authenticator.authenticationEnforcementRules[0].condition": Setting.ENFORCEMENT,
        "spec.authenticator.postAuthenticationRules[0].condition": Setting.AUTHENTICATOR,
    }
    assert not any(place.in_policy for place in listed)


def owners(descriptor: Descriptor, seen: set[str]) -> Iterator[tuple[Descriptor, FieldDescriptor]]:
    """Every message and field of it, at or below which validation goes, that holds expressions."""
    if descriptor.full_name in seen:
        return
    seen.add(descriptor.full_name)
    for field in descriptor.fields:
        is_message = field.type == FieldDescriptor.TYPE_MESSAGE and not fields.is_map(field)
        if is_message and fields.message_type(field).full_name == fields.CONDITION:
            yield descriptor, field
        elif is_message:
            yield from owners(fields.message_type(field), seen)
        elif field.name in ("eval", "opa"):
            yield descriptor, field


EVERY = [
    pytest.param(owner, field, id=f"{owner.name}.{field.name}")
    for seen in [set[str]()]
    for kind in KINDS.values()
    for owner, field in owners(kind.message.DESCRIPTOR.fields_by_name["spec"].message_type, seen)
]


@pytest.mark.parametrize(("owner", "field"), EVERY)
def test_every_expression_is_compiled_before_it_is_stored(
    owner: Descriptor, field: FieldDescriptor
) -> None:
    """Wherever the schema holds an expression, one that does not compile is refused."""
    assert _registers_all_rules
    part = _plan(owner).parts[field.name]
    validator = Validator(view=None, expressions=Checker(), now=0)
    bad: Any = core.Condition(match="ctx. =") if field.message_type is not None else "ctx. ="
    with pytest.raises(Invalid) as caught:
        part(bad, "spec.x", validator)
    assert caught.value.path.startswith("spec.x")


def test_there_are_many_places() -> None:
    assert len(EVERY) > 25
