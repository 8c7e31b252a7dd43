from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.schema.validation.world import World


def credential(spec: str, name: str = "key") -> str:
    return f"kind: Credential\nmetadata: {{name: {name}}}\nspec: {spec}\n"


@pytest.mark.parametrize(
    "spec",
    [
        "{type: AUTH_TOKEN, user: alice}",
        "{type: OAUTH2, user: ci, sessionType: CLIENTLESS}",
        "{type: ACCESS_TOKEN, user: ci, maxAuthentications: 1000000}",
        "{type: AUTH_TOKEN, user: alice, autoDelete: true, maxAuthentications: 1}",
        "{type: AUTH_TOKEN, user: alice, expiresAt: 2032-01-01, isDisabled: true}",
        "{type: AUTH_TOKEN, user: alice, authorization: {policies: [allow-all]}}",
    ],
)
def test_credentials(world: World, spec: str) -> None:
    world.apply(credential(spec))


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ("{user: alice}", "spec.type"),
        ("{type: AUTH_TOKEN}", "spec.user"),
        ("{type: AUTH_TOKEN, user: gone}", "spec.user"),
        ("{type: AUTH_TOKEN, user: alice, maxAuthentications: 1000001}", "spec.maxAuthentications"),
        ("{type: AUTH_TOKEN, user: alice, expiresAt: 2020-01-01}", "spec.expiresAt"),
        ("{type: AUTH_TOKEN, user: alice, expiresAt: 2032-04-01}", "spec.expiresAt"),
        ("{type: AUTH_TOKEN, user: alice, autoDelete: true}", "spec.autoDelete"),
        ("{type: OAUTH2, user: alice}", "spec.type"),
        ("{type: ACCESS_TOKEN, user: alice}", "spec.type"),
        ("{type: AUTH_TOKEN, user: alice, authorization: {policies: [gone]}}",
         "spec.authorization.policies[0]"),
    ],
)  # fmt: skip
def test_bad_credentials(world: World, spec: str, path: str) -> None:
    assert world.refusal(credential(spec)).path == path


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ("{type: OAUTH2, user: ci}", "spec.type"),
        ("{type: AUTH_TOKEN, user: alice}", "spec.user"),
    ],
)
def test_what_cannot_be_changed(world: World, spec: str, path: str) -> None:
    world.apply(credential("{type: AUTH_TOKEN, user: ci}"))
    refused = world.refusal(credential(spec))
    assert (refused.path, refused.problem) == (path, "cannot be changed")
    world.apply(credential("{type: AUTH_TOKEN, user: ci, isDisabled: true}"))
