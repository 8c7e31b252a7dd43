from __future__ import annotations

from octelium.identity.provider_rules import Enforcement, NoEnforcement
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import lone_transaction


def test_nothing_is_asked_for_where_nothing_is_offered() -> None:
    enforcement: Enforcement = NoEnforcement()
    action = enforcement.action(
        lone_transaction(),
        core.ClusterConfig(),
        core.User(),
        core.IdentityProvider(),
        core.Session(),
    )
    assert action == core.SessionStatusAuthenticatorAction__.AUTHENTICATOR_ACTION_UNSET
