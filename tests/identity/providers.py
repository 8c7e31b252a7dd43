"""IdentityProviders and what they vouch for, as the tests of logins want them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.apiserver.core.view import TransactionView
from octelium.identity.errors import RefusedError
from octelium.identity.verified import VerifiedIdentity
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.computed import complete

if TYPE_CHECKING:
    from octelium.identity.provider_rules import PendingRulesError
    from octelium.store.transaction import Transaction

TYPES = core.IdentityProviderStatusType__
LEVELS = core.SessionStatusAuthenticationInfoAal__
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"


def add_provider(
    tx: Transaction, name: str, kind: str = "oidc", **spec: Any
) -> core.IdentityProvider:
    provider = core.IdentityProvider()
    provider.metadata.name = name
    match kind:
        case "github":
            provider.spec.github.client_id = "client"
        case "oidc":
            provider.spec.oidc.client_id = "client"
            provider.spec.oidc.issuer_url = f"https://{name}.test"
        case "saml":
            provider.spec.saml.metadata_url = f"https://{name}.test/metadata"
        case "workload":
            provider.spec.oidc_identity_token.issuer_url = f"https://{name}.test"
    for field, value in spec.items():
        if field == "check_email_verified":
            provider.spec.oidc.check_email_verified = value
        elif field == "locked":
            provider.status.is_locked = value
        elif field == "groups_config":
            provider.metadata.annotations["groups-config"] = value
        else:
            setattr(provider.spec, field, value)
    complete(provider, TransactionView(tx))
    return tx.create(provider)


def add_person(
    tx: Transaction,
    name: str,
    *,
    email: str = "",
    identities: tuple[tuple[str, str], ...] = (),
    human: bool = True,
    disabled: bool = False,
    locked: bool = False,
) -> core.User:
    user = core.User()
    user.metadata.name = name
    types = core.UserSpecType__
    user.spec.type = types.HUMAN if human else types.WORKLOAD
    user.spec.email = email
    user.spec.is_disabled = disabled
    user.status.is_locked = locked
    for provider, identifier in identities:
        user.spec.authentication.identities.add(identity_provider=provider, identifier=identifier)
    complete(user, TransactionView(tx))
    return tx.create(user)


def vouched(provider: core.IdentityProvider, identifier: str, **more: Any) -> VerifiedIdentity:
    return VerifiedIdentity(provider, identifier, **more)


class Rules:
    """Decides by the claims: `aal`, `groups`; refuses whoever's name is in `refused`."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.pending: PendingRulesError | None = None
        self.asked: list[core.SessionStatusAuthenticationInfo] = []

    def aal(self, provider: core.IdentityProvider, verified: VerifiedIdentity) -> Any:
        assert provider.status.type
        return LEVELS.SessionStatusAuthenticationInfoAal.Value(
            verified.claims.get("aal", "AAL_UNSET")
        )

    def post_authentication(
        self,
        provider: core.IdentityProvider,
        user: core.User,
        info: core.SessionStatusAuthenticationInfo,
    ) -> None:
        if self.pending is not None:
            raise self.pending
        assert provider.metadata.uid == info.identity_provider.identity_provider_ref.uid
        self.asked.append(info)
        if user.metadata.name in self.refused:
            raise RefusedError("a rule refuses this", detail="postAuthenticationRules[0]")

    def groups(self, provider: core.IdentityProvider, verified: VerifiedIdentity) -> list[str]:
        assert provider.metadata.annotations["groups-config"]
        if "broken" in verified.claims:
            raise RefusedError("the groups cannot be taken")
        return list(verified.claims.get("groups", ()))
