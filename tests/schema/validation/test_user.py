from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.schema.validation.user import identity_label

if TYPE_CHECKING:
    from tests.schema.validation.world import World

PROVIDER = """
kind: IdentityProvider
metadata: {name: corp}
spec: {github: {clientID: x, clientSecret: {fromSecret: token}}}
---
"""


def user(spec: str, name: str = "bob") -> str:
    return f"kind: User\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def test_users(world: World) -> None:
    world.apply(
        PROVIDER
        + user(
            "{type: HUMAN, email: bob@acme.test, groups: [ops],"
            " info: {firstName: 'Bób', country: NO},"
            " session: {maxPerUser: 10000, defaultState: PENDING, clientDuration: {hours: 8}},"
            " authentication: {authenticatorDefaultState: ACTIVE,"
            " identities: [{identityProvider: corp, identifier: Bob}]}}"
        )
    )
    world.apply(user("{type: HUMAN, email: bob@acme.test}"))


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ("{type: TYPE_UNKNOWN}", "spec.type"),
        ("{type: HUMAN, email: Bob@acme.test}", "spec.email"),
        ("{type: HUMAN, email: bob}", "spec.email"),
        ("{type: HUMAN, email: bób@acme.test}", "spec.email"),
        (f"{{type: HUMAN, email: {'a' * 150}@b}}", "spec.email"),
        ("{type: WORKLOAD, email: bob@acme.test}", "spec.email"),
        ("{type: HUMAN, email: alice@acme.test}", "spec.email"),
        ("{type: HUMAN, email: alice-acme@test}", "spec.email"),
        ("{type: HUMAN, groups: [gone]}", "spec.groups[0]"),
        ("{type: HUMAN, authorization: {policies: [gone]}}", "spec.authorization.policies[0]"),
        (f"{{type: HUMAN, info: {{phone: {'1a' * 129}}}}}", "spec.info.phone"),
        ("{type: HUMAN, session: {defaultState: REJECTED}}", "spec.session.defaultState"),
        ("{type: HUMAN, session: {maxPerUser: 10001}}", "spec.session.maxPerUser"),
        ("{type: HUMAN, session: {refreshTokenDuration: {milliseconds: 500}}}",
         "spec.session.refreshTokenDuration"),
        ("{type: HUMAN, authentication: {authenticatorDefaultState: REJECTED}}",
         "spec.authentication.authenticatorDefaultState"),
        ("{type: HUMAN, authentication: {identities: [{identityProvider: gone, identifier: x}]}}",
         "spec.authentication.identities[0].identityProvider"),
        ("{type: HUMAN, authentication: {identities: [{identityProvider: corp}]}}",
         "spec.authentication.identities[0].identifier"),
        ("{type: HUMAN, authentication: {identities: [{identifier: x}]}}",
         "spec.authentication.identities[0].identityProvider"),
        (("{type: HUMAN, authentication: {identities: [{identityProvider: corp, identifier: x}, "
         "{identityProvider: corp, identifier: y}]}}"),
         "spec.authentication.identities[1].identityProvider"),
    ],
)  # fmt: skip
def test_bad_users(world: World, spec: str, path: str) -> None:
    assert world.refusal(PROVIDER + user(spec)).path == path


def test_an_identity_belongs_to_one_user(world: World) -> None:
    spec = (
        "{type: HUMAN, authentication: {identities: [{identityProvider: corp, identifier: x.y}]}}"
    )
    world.apply(PROVIDER + user(spec, name="carol"))
    refused = world.refusal(user(spec.replace("x.y", "X-Y")))
    assert refused.path == "spec.authentication.identities[0].identifier"
    assert "'carol'" in refused.problem
    world.apply(user(spec, name="carol"))
    world.apply(user(spec.replace("x.y", "z")))


def test_labels() -> None:
    assert identity_label("corp") == "auth-corp"
