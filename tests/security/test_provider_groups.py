"""Groups of an assertion decide where a Policy asks for them, and are nobody's `spec.groups`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.identity.provider_logins import keep_groups
from octelium.policy.lint.conditions import lint_condition
from octelium.policy.shape.contexts import Context, Setting
from octelium.schema.jsonform import to_json
from octelium.schema.pb import core_v1_pb2 as core
from tests.octovigil.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

IN_SESSION = '"ops" in ctx.session.status.ext.identityProvider.groups'
IN_USER = '"ops" in ctx.user.spec.groups'
OF_PROVIDER = 'ctx.session.status.ext.identityProvider.name == "okta" && ' + IN_SESSION


def ext(groups: Sequence[str] | None, provider: str = "okta") -> dict[str, Any]:
    session, okta = core.Session(), core.IdentityProvider()
    okta.metadata.name = provider
    keep_groups(session, okta, groups)
    form: dict[str, Any] = to_json(session).get("status", {})
    return form


def allowed(condition: str, groups: Sequence[str] | None, provider: str = "okta") -> bool:
    world = World()
    spec = {"rules": [{"effect": "ALLOW", "condition": {"match": condition}}]}
    world.put("Policy", "p", spec)
    world.service("wiki.default", authorization={"policies": ["p"]})
    world.session("ann-2", "ann", status=ext(groups, provider))
    return world.ask(session="ann-2").allowed


@pytest.mark.parametrize(
    ("condition", "groups", "provider", "expected"),
    [
        (IN_SESSION, ["ops", "dev"], "okta", True),
        (IN_SESSION, ["dev"], "okta", False),
        (IN_SESSION, [], "okta", False),
        (IN_SESSION, None, "okta", False),
        (OF_PROVIDER, ["ops"], "okta", True),
        (OF_PROVIDER, ["ops"], "other", False),
        (IN_USER, ["ops"], "okta", False),
    ],
)
def test_decisions(
    condition: str, groups: Sequence[str] | None, provider: str, expected: bool
) -> None:
    assert allowed(condition, groups, provider) == expected


@pytest.mark.parametrize("condition", [IN_SESSION, OF_PROVIDER])
def test_nobody_is_warned_of_such_conditions(condition: str) -> None:
    found = lint_condition(core.Condition(match=condition), Context(Setting.ACCESS))
    assert found == []
