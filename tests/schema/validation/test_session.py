from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.schema.validation.world import World


def session(spec: str) -> str:
    return f"kind: Session\nmetadata: {{name: alice-abc123}}\nspec: {spec}\n"


def test_sessions(world: World) -> None:
    world.apply(
        session(
            "{state: REJECTED, expiresAt: 2031-01-01T00:00:00Z, "
            "authorization: {policies: [allow-all]}}"
        )
    )


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ("{expiresAt: 2031-01-01}", "spec.state"),
        ("{state: STATE_UNKNOWN, expiresAt: 2031-01-01}", "spec.state"),
        ("{state: ACTIVE}", "spec.expiresAt"),
        ("{state: ACTIVE, expiresAt: 2029-01-01}", "spec.expiresAt"),
        ("{state: ACTIVE, expiresAt: 2031-01-01, authorization: {policies: [gone]}}",
         "spec.authorization.policies[0]"),
    ],
)  # fmt: skip
def test_bad_sessions(world: World, spec: str, path: str) -> None:
    assert world.refusal(session(spec)).path == path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("kind: Device\nmetadata: {name: linux-abcdefgh}\nspec: {}\n", "spec.state"),
        (("kind: Device\nmetadata: {name: dd}\nspec: {state: ACTIVE, "
         "authorization: {policies: [gone]}}\n"), "spec.authorization.policies[0]"),
        ("kind: Authenticator\nmetadata: {name: aa}\nspec: {}\n", "spec.state"),
        ("kind: Authenticator\nmetadata: {name: aa}\nspec: {state: ACTIVE, displayName: 'é'}\n",
         "spec.displayName"),
        ((f"kind: Authenticator\nmetadata: {{name: aa}}\nspec: {{state: ACTIVE, "
         f"displayName: {'x' * 121}}}\n"), "spec.displayName"),
    ],
)  # fmt: skip
def test_devices_and_authenticators(world: World, text: str, path: str) -> None:
    assert world.refusal(text).path == path
    world.apply("kind: Device\nmetadata: {name: linux-abcdefgh}\nspec: {state: REJECTED}\n")
    world.apply("kind: Authenticator\nmetadata: {name: fido-abcdef}\nspec: {state: ACTIVE}\n")
