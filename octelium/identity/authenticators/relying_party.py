"""WebAuthn (https://www.w3.org/TR/webauthn-3/) as the Cluster's domain speaks it.

Options are made here, responses are read and verified with Yubico's `fido2`, which is loaded when
the first response comes.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from octelium.identity.authenticators.errors import CloneError, WrongResponseError
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fido2.server import Fido2Server
    from fido2.webauthn import AttestationObject, AuthenticatorData, CollectedClientData

ALGORITHMS: Final = (-8, -7, -257)
"""EdDSA, ES256 and RS256 (https://www.iana.org/assignments/cose/)."""
CHALLENGE_BYTES: Final = 32
MAX_RESPONSE: Final = 30_000
TIMEOUT: Final = 120_000
"""Milliseconds that a browser is told to wait."""
PASSKEY_TIMEOUT: Final = 60_000
_LONGEST_ID: Final = 1023
_ATTESTATION: Final = core.ClusterConfigSpecAuthenticatorFidoAttestationConveyancePreference__
_VERIFICATION: Final = core.ClusterConfigSpecAuthenticatorFidoUserVerification__
_KIND: Final = core.AuthenticatorStatusInfoFidoType__
_PREFERENCES: Final = {
    _ATTESTATION.DIRECT: "direct",
    _ATTESTATION.INDIRECT: "indirect",
    _ATTESTATION.NONE: "none",
    _ATTESTATION.ENTERPRISE: "enterprise",
}
_REQUIREMENTS: Final = {
    _VERIFICATION.REQUIRED: "required",
    _VERIFICATION.PREFERRED: "preferred",
    _VERIFICATION.DISCOURAGED: "discouraged",
}
_ATTACHMENTS: Final = {"platform": _KIND.PLATFORM, "cross-platform": _KIND.ROAMING}


@dataclass(frozen=True, slots=True)
class Assertion:
    """A verified signature."""

    user_verified: bool
    sign_count: int


@dataclass(frozen=True, slots=True)
class PasskeyClaim:
    """Whom a response to a passkey's challenge says to be of; nothing of it is verified."""

    challenge: bytes
    id_hash: bytes
    user_uid: str


def user_handle(user: core.User) -> bytes:
    """What a credential knows its User by: the 16 bytes of the uid."""
    return uuid.UUID(user.metadata.uid).bytes


def id_hash(credential_id: bytes) -> bytes:
    """What finds an Authenticator by the id of its credential."""
    return hashlib.sha256(credential_id).digest()


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """`domain` is the RP ID; `origin` is the one that pages with ceremonies have."""

    domain: str
    origin: str

    @property
    def name(self) -> str:
        """What people see of the Cluster."""
        return f"Octelium - {self.domain}"

    def creation_options(
        self,
        user: core.User,
        challenge: bytes,
        known: Iterable[bytes],
        settings: core.ClusterConfigSpecAuthenticatorFido,
        *,
        passkey: bool = False,
    ) -> str:
        """PublicKeyCredentialCreationOptions as JSON; `known` are ids of the User's credentials.

        `passkey`: it must be one that signs its User in alone.
        """
        preference = _PREFERENCES.get(settings.attestation_conveyance_preference, "direct")
        return _json(
            {
                "rp": {"id": self.domain, "name": self.name},
                "user": {
                    "id": _encoded(user_handle(user)),
                    "name": user.metadata.name,
                    "displayName": user.metadata.display_name or user.metadata.name,
                },
                "challenge": _encoded(challenge),
                "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in ALGORITHMS],
                "timeout": TIMEOUT,
                "excludeCredentials": list(map(_descriptor, known)),
                "authenticatorSelection": {
                    "residentKey": "required" if passkey else "preferred",
                    "requireResidentKey": passkey,
                    "userVerification": "required" if passkey else _requirement(settings),
                },
                "attestation": preference,
                "extensions": {"credProps": True},
            }
        )

    def request_options(
        self,
        challenge: bytes,
        credential_id: bytes,
        settings: core.ClusterConfigSpecAuthenticatorFido,
    ) -> str:
        """PublicKeyCredentialRequestOptions as JSON, for one credential."""
        return _json(
            {
                "challenge": _encoded(challenge),
                "timeout": TIMEOUT,
                "rpId": self.domain,
                "allowCredentials": [_descriptor(credential_id)],
                "userVerification": _requirement(settings),
            }
        )

    def passkey_options(self, challenge: bytes) -> str:
        """The same for whatever passkey the browser has, whose User proves to be there."""
        return _json(
            {
                "challenge": _encoded(challenge),
                "timeout": PASSKEY_TIMEOUT,
                "rpId": self.domain,
                "allowCredentials": [],
                "userVerification": "required",
            }
        )

    def register(
        self,
        response: str,
        challenge: bytes,
        settings: core.ClusterConfigSpecAuthenticatorFido,
        *,
        passkey: bool = False,
    ) -> core.AuthenticatorStatusInfoFido:
        """The credential that a RegistrationResponseJSON brings (section 7.1).

        Attestation statements must be correct, but nothing here knows whom to trust: none counts
        as verified. `passkey` as in `creation_options`.

        Raises:
            WrongResponseError: it answers something else, or is no such thing.
        """
        data = _parsed(response)
        try:
            return self._register(data, challenge, settings, passkey)
        except WrongResponseError:
            raise
        except Exception as error:
            raise _refusal(error) from error

    def verify(
        self,
        response: str,
        challenge: bytes,
        credential: core.AuthenticatorStatusInfoFido,
        user: core.User,
        *,
        require_verification: bool,
        discoverable: bool = False,
    ) -> Assertion:
        """Check an AuthenticationResponseJSON of one credential (section 7.2).

        `discoverable`: the response must say itself whose it is.

        Raises:
            CloneError: signed as it should be, by one of two Authenticators with one key.
            WrongResponseError: it answers something else, or is no such thing.
        """
        data = _parsed(response)
        try:
            checked = self._verify(
                data, challenge, credential, user, require_verification, discoverable
            )
        except WrongResponseError:
            raise
        except Exception as error:
            raise _refusal(error) from error
        if (checked.sign_count or credential.sign_count) and (
            checked.sign_count <= credential.sign_count
        ):
            raise CloneError(
                f"clone warning: signature counter {checked.sign_count} after "
                f"{credential.sign_count}"
            )
        return checked

    def passkey_claim(self, response: str) -> PasskeyClaim:
        """Whose passkey a response says to be from. Raises WrongResponseError."""
        from fido2.webauthn import AuthenticationResponse

        data = _parsed(response)
        try:
            read = AuthenticationResponse.from_dict(data)
            handle = read.response.user_handle or b""
            return PasskeyClaim(
                read.response.client_data.challenge,
                id_hash(read.raw_id),
                str(uuid.UUID(bytes=handle)),
            )
        except Exception as error:
            raise _refusal(error) from error

    def _register(
        self,
        data: dict[str, Any],
        challenge: bytes,
        settings: core.ClusterConfigSpecAuthenticatorFido,
        passkey: bool,
    ) -> core.AuthenticatorStatusInfoFido:
        from fido2 import cbor
        from fido2.webauthn import RegistrationResponse

        read = RegistrationResponse.from_dict(data)
        _check_frame(read.response.client_data)
        state = _state(challenge, "required" if passkey else _requirement(settings))
        authenticator = self._server(settings).register_complete(state, read)
        _check_backup(authenticator)
        made = authenticator.credential_data
        if made is None or made.credential_id != read.raw_id:
            raise WrongResponseError("the response holds no credential, or another")
        if len(made.credential_id) > _LONGEST_ID:
            raise WrongResponseError("the id of the credential is too long")
        if made.public_key.get(3) not in ALGORITHMS:
            raise WrongResponseError("the credential has a key of an algorithm not asked for")
        discoverable = data.get("clientExtensionResults", {}).get("credProps", {}).get("rk")
        if passkey and discoverable is False:
            raise WrongResponseError("the credential is no passkey")
        return core.AuthenticatorStatusInfoFido(
            id=made.credential_id,
            id_hash=id_hash(made.credential_id),
            public_key=cbor.encode(made.public_key),
            type=_ATTACHMENTS.get(data.get("authenticatorAttachment", ""), _KIND.TYPE_UNKNOWN),
            aaguid=str(uuid.UUID(bytes=bytes(made.aaguid))),
            # Not every browser tells; but what cannot be one refuses options that require it.
            is_passkey=passkey or discoverable is True,
            backup_eligible=authenticator.is_backup_eligible(),
            sign_count=authenticator.counter,
        )

    def _verify(
        self,
        data: dict[str, Any],
        challenge: bytes,
        credential: core.AuthenticatorStatusInfoFido,
        user: core.User,
        require_verification: bool,
        discoverable: bool,
    ) -> Assertion:
        from fido2 import cbor
        from fido2.cose import CoseKey
        from fido2.webauthn import Aaguid, AttestedCredentialData, AuthenticationResponse

        read = AuthenticationResponse.from_dict(data)
        _check_frame(read.response.client_data)
        handle = read.response.user_handle
        if (discoverable or handle) and handle != user_handle(user):
            raise WrongResponseError("the credential is another User's")
        key = cbor.decode(credential.public_key)
        if not isinstance(key, dict):
            raise WrongResponseError("the stored key is damaged")
        known = AttestedCredentialData.create(Aaguid.NONE, credential.id, CoseKey.parse(key))
        state = _state(challenge, "required" if require_verification else "preferred")
        server = self._server(core.ClusterConfigSpecAuthenticatorFido())
        server.authenticate_complete(state, [known], read)
        authenticator = read.response.authenticator_data
        _check_backup(authenticator)
        if authenticator.is_backup_eligible() != credential.backup_eligible:
            raise WrongResponseError("the credential may be backed up, or may not, unlike before")
        return Assertion(authenticator.is_user_verified(), authenticator.counter)

    def _server(self, settings: core.ClusterConfigSpecAuthenticatorFido) -> Fido2Server:
        from fido2.server import Fido2Server
        from fido2.webauthn import AttestationConveyancePreference, PublicKeyCredentialRpEntity

        preference = _PREFERENCES.get(settings.attestation_conveyance_preference, "direct")
        return Fido2Server(
            PublicKeyCredentialRpEntity(name=self.name, id=self.domain),
            attestation=AttestationConveyancePreference(preference),
            verify_origin=lambda origin: origin == self.origin,
            verify_attestation=_check_attestation,
        )


def requires_verification(settings: core.ClusterConfigSpecAuthenticatorFido) -> bool:
    """Whether whoever uses a credential must prove to be its owner, as by a fingerprint."""
    return settings.user_verification == _VERIFICATION.REQUIRED


def _requirement(settings: core.ClusterConfigSpecAuthenticatorFido) -> str:
    return _REQUIREMENTS.get(settings.user_verification, "preferred")


def _check_attestation(attestation: AttestationObject, client_data_hash: bytes) -> None:
    from fido2 import attestation as formats  # all of them, each of which makes itself known
    from fido2.attestation.base import Attestation, UnsupportedType

    assert formats
    try:
        Attestation.for_type(attestation.fmt)().verify(
            attestation.att_stmt, attestation.auth_data, client_data_hash
        )
    except UnsupportedType:
        return  # it proves nothing, as those do that are known: no attestation is trusted


def _check_frame(client_data: CollectedClientData) -> None:
    if client_data.cross_origin is not False:
        raise WrongResponseError("the ceremony took place in a frame of another site")


def _check_backup(authenticator: AuthenticatorData) -> None:
    if authenticator.is_backed_up() and not authenticator.is_backup_eligible():
        raise WrongResponseError("the credential is backed up although it may not be")


def _state(challenge: bytes, requirement: str) -> dict[str, str]:
    if len(challenge) != CHALLENGE_BYTES:
        raise WrongResponseError("no challenge was sent")
    return {"challenge": _encoded(challenge), "user_verification": requirement}


def _parsed(response: str) -> dict[str, Any]:
    if not 0 < len(response) <= MAX_RESPONSE:
        raise WrongResponseError(f"the response is not 1 to {MAX_RESPONSE} characters")
    try:
        data = json.loads(response)
    except (ValueError, RecursionError) as error:
        raise WrongResponseError("the response is not JSON") from error
    if not isinstance(data, dict):
        raise WrongResponseError("the response is no JSON object")
    return data


def _refusal(error: Exception) -> WrongResponseError:
    return WrongResponseError(f"{type(error).__name__}: {str(error)[:200]}")


def _descriptor(credential_id: bytes) -> dict[str, str]:
    return {"type": "public-key", "id": _encoded(credential_id)}


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))
