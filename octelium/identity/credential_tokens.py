"""New tokens for Credentials, as administrators ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.identity import admission, credential_logins, credentials
from octelium.identity.errors import CredentialUnusableError
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.identity.tokens import Signer
    from octelium.store.transaction import Transaction

_TYPES: Final = core.CredentialSpecType__


def generate(
    tx: Transaction, signer: Signer, credential: core.Credential, now: int
) -> core.CredentialToken:
    """A new token for `credential`; earlier ones die with the transaction.

    For a Credential of type ACCESS_TOKEN its Session is begun or renewed, and its access token is
    the result.

    Raises:
        CredentialUnusableError: no token can be made for the Credential as it is.
        SessionLimitError: its User has as many Sessions as it may have.
    """
    credential = credentials.replace_token(tx, credential, now)
    match credential.spec.type:
        case _TYPES.AUTH_TOKEN:
            token = core.CredentialTokenAuthenticationToken(
                authentication_token=credentials.token_of(signer, credential)
            )
            return core.CredentialToken(authentication_token=token)
        case _TYPES.OAUTH2:
            client = core.CredentialTokenOAuth2Credentials(
                client_id=credential.status.id,
                client_secret=credentials.token_of(signer, credential),
            )
            return core.CredentialToken(oauth2_credentials=client)
        case _TYPES.ACCESS_TOKEN:
            session = credential_logins.session_for_access_token(tx, credential, now)
            issued = core.CredentialTokenAccessToken(
                access_token=admission.issue(signer, session).access_token
            )
            return core.CredentialToken(access_token=issued)
        case _:
            raise CredentialUnusableError(
                f"Credential {credential.metadata.name} has no type that tokens exist for"
            )
