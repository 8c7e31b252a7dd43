from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from octelium.schema import fields
from octelium.schema.errors import Invalid
from octelium.schema.kinds import KINDS
from octelium.schema.validation import limits, rules
from tests.schema.messages import resources
from tests.schema.validation.world import World, service, web


def test_references_are_checked_wherever_they_stand(world: World) -> None:
    for text, path in [
        (web("tls: {clientCertificate: {fromSecret: gone}}"),
         "spec.config.tls.clientCertificate.fromSecret"),
        (service("{mode: WEB, dynamicConfig: {configs: [{name: aa, upstream: {url: 'http://h'}, "
                 "http: {auth: {basic: {username: u, password: {fromSecret: gone}}}}}]}}"),
         "spec.dynamicConfig.configs[0].http.auth.basic.password.fromSecret"),
        (service("{mode: TCP, port: 1, config: {upstream: {container: {image: i, port: 1, "
                 "env: [{name: A, fromSecret: gone}]}}}}"),
         "spec.config.upstream.container.env[0].fromSecret"),
        (("kind: ClusterConfig\nmetadata: {}\nspec: {authentication: {geolocation: {mmdb: "
          "{upstream: {url: 'https://h', auth: {bearer: {fromSecret: gone}}}}}}}\n"),
         "spec.authentication.geolocation.mmdb.upstream.auth.bearer.fromSecret"),
    ]:  # fmt: skip
        refused = world.refusal(text)
        assert refused.path == path
        assert refused.problem == "there is no Secret 'gone'"


def test_expressions_are_checked_wherever_they_stand(world: World) -> None:
    world.checked.clear()
    world.apply(
        """
        kind: Service
        metadata: {name: wiki}
        spec:
          mode: WEB
          authorization:
            inlinePolicies:
              - spec:
                  rules: [{effect: ALLOW, condition: {match: a}}]
                  enforcementRules: [{effect: IGNORE, condition: {opa: {inline: package a}}}]
          config:
            upstream: {url: "http://h"}
            http:
              header: {host: {eval: b}, addRequestHeaders: [{key: X, eval: c}]}
              plugins:
                - name: p1
                  condition: {match: a}
                  rateLimit: {limit: 5, window: {seconds: 1}, key: {eval: d}}
          dynamicConfig:
            rules:
              - {condition: {match: a}, eval: e}
              - {condition: {match: a}, opa: package b}
        """
    )
    assert sorted(world.checked) == sorted(
        [
            "spec.authorization.inlinePolicies[0].spec.rules[0].condition.match",
            "spec.authorization.inlinePolicies[0].spec.enforcementRules[0].condition.opa.inline",
            "spec.config.http.header.addRequestHeaders[0].eval",
            "spec.config.http.header.host.eval",
            "spec.config.http.plugins[0].condition.match",
            "spec.config.http.plugins[0].rateLimit.key.eval",
            "spec.dynamicConfig.rules[0].condition.match",
            "spec.dynamicConfig.rules[0].eval",
            "spec.dynamicConfig.rules[1].condition.match",
            "spec.dynamicConfig.rules[1].opa",
        ]
    )


def test_unknown_enum_values_of_a_newer_client_are_refused(world: World) -> None:
    [bob] = world.read("kind: User\nmetadata: {name: bob}\nspec: {type: HUMAN}\n")
    bob.spec.type = 9
    with pytest.raises(Invalid, match=r"spec\.type: 9 is not a known value"):
        world.validate(bob)


def test_lists_are_bounded(world: World) -> None:
    names = ", ".join(["allow-all"] * 101)
    refused = world.refusal(
        f"kind: Group\nmetadata: {{name: gg}}\nspec: {{authorization: {{policies: [{names}]}}}}\n"
    )
    assert (refused.path, refused.problem) == ("spec.authorization.policies", "has 101 entries")


def test_a_oneof_must_be_chosen(world: World) -> None:
    refused = world.refusal(service("{mode: WEB, config: {upstream: {}}}"))
    assert refused.path == "spec.config.upstream"
    assert refused.problem == "needs one of container, loadbalance, url"


def test_references_are_not_checked_without_a_view(world: World) -> None:
    validator = rules.Validator(view=None, expressions=world, now=0)
    validator.reference("Secret", "gone", "x")
    with pytest.raises(Invalid, match="the name of a Secret is missing"):
        validator.reference("Secret", "", "x")


@settings(max_examples=200)
@given(resources())
def test_anything_is_accepted_or_refused(message: Any) -> None:
    """Validation raises nothing but Invalid, with a place in the spec, and writes nothing."""
    world = World()
    message.metadata.SetInParent()
    message.spec.SetInParent()
    before = message.SerializeToString(deterministic=True)
    paths = [""]
    try:
        world.validate(message)
    except Invalid as refused:
        paths.append(refused.path)
    assert message.SerializeToString(deterministic=True) == before
    assert all(path == "" or path.startswith(("metadata", "spec", "data")) for path in paths)


def spec_descriptors() -> list[Any]:
    """Every message type that a spec or the data of a public kind consists of."""
    found: dict[str, Any] = {}
    waiting = [
        kind.message.DESCRIPTOR.fields_by_name[part].message_type
        for kind in KINDS.values()
        if not kind.internal
        for part in ("spec", "data")
        if part in kind.message.DESCRIPTOR.fields_by_name
    ]
    while waiting:
        descriptor = waiting.pop()
        if descriptor.full_name in found or descriptor.full_name.startswith("google."):
            continue
        found[descriptor.full_name] = descriptor
        waiting.extend(field.message_type for field in descriptor.fields if field.message_type)
    return list(found.values())


OWN_RULES = {"Condition", "ConditionOpa", "SecretData", "SecretSpecData", "ConfigData"}


def test_every_text_and_list_of_every_spec_is_bounded() -> None:
    """A field that a newer schema adds has no limits until somebody thinks of them."""
    for descriptor in spec_descriptors():
        if descriptor.GetOptions().map_entry or descriptor.name in OWN_RULES:
            continue
        for field in descriptor.fields:
            if field.type in {field.TYPE_STRING, field.TYPE_BYTES}:
                assert limits.text_of(descriptor.name, field.name), (
                    f"{descriptor.name}.{field.name}"
                )
            if field.is_repeated and not fields.is_map(field):
                assert limits.count_of(descriptor.name, field.name) > 0


def test_the_tables_name_only_what_exists() -> None:
    messages = {descriptor.name: descriptor for descriptor in spec_descriptors()}
    field_names = {field.name for d in messages.values() for field in d.fields}
    for table in (limits.TEXTS, limits.COUNTS, limits.NUMBERS):
        for key in table:
            message, _, field = key.rpartition(".")
            if message:
                assert field in messages[message].fields_by_name, key
            else:
                assert field in field_names, key
    for message, required in limits.REQUIRED.items():
        assert set(required) <= set(messages[message].fields_by_name), message
    for message in limits.OPTIONAL_ONEOFS:
        assert messages[message].oneofs, message
