"""What a Session began with, which may be switched off by the time it is renewed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.identity import approved, credentials
from octelium.identity.errors import RefusedError
from octelium.identity.lookup import is_provider_barred
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.identity.attempts import Attempt
    from octelium.store.transaction import Transaction


def credential_of(
    tx: Transaction, session: core.Session, attempt: Attempt
) -> core.Credential | None:
    """The Credential that a Session began with, if it did and it is still there.

    Raises:
        RefusedError: it, or the IdentityProvider that the Session began with, is switched off.
    """
    provider_uid = approved.provider_uid(session)
    provider = tx.find(core.IdentityProvider, uid=provider_uid) if provider_uid else None
    if provider is not None:
        attempt.concerns(provider=provider)
        if is_provider_barred(provider):
            name = provider.metadata.name
            raise RefusedError(f"the IdentityProvider {name} is disabled or locked")
    uid = session.status.credential_ref.uid
    credential = tx.find(core.Credential, uid=uid) if uid else None
    if credential is not None:
        attempt.concerns(credential=credential)
        if credentials.is_barred(credential):
            raise RefusedError(f"Credential {credential.metadata.name} is disabled or locked")
    return credential
