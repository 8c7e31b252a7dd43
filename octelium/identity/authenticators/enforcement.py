"""Whether a Session that was just authenticated must use or register an Authenticator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.identity.authenticators.available import usable

if TYPE_CHECKING:
    from octelium.identity.provider_rules import Action, AuthenticatorRules
    from octelium.schema.pb import core_v1_pb2 as core
    from octelium.store.transaction import Transaction


class AuthenticatorEnforcement:
    """See `Enforcement` in `octelium.identity.provider_rules`."""

    def __init__(self, rules: AuthenticatorRules) -> None:
        self._rules = rules

    def action(
        self,
        tx: Transaction,
        config: core.ClusterConfig,
        user: core.User,
        provider: core.IdentityProvider,
        session: core.Session,
    ) -> Action:
        """What the rules of the ClusterConfig want, given what the Session can use."""
        return self._rules.requirement(config, user, provider, session, usable(tx, session))
