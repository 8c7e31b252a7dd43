from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octelium.identity.authenticators.errors import CloneError, WrongResponseError
from octelium.identity.authenticators.relying_party import RelyingParty, requires_verification
from octelium.schema.pb import core_v1_pb2 as core
from tests.conftest import SOAK
from tests.identity.authenticators.soft_key import AT, BE, BS, UP, UV, SoftKey, b64, unb64

PARTY = RelyingParty("example.com", "https://example.com:8443")
DEFAULTS = core.ClusterConfigSpecAuthenticatorFido()
REQUIRED = core.ClusterConfigSpecAuthenticatorFido(
    user_verification=core.ClusterConfigSpecAuthenticatorFidoUserVerification__.REQUIRED
)
ALICE = core.User()
ALICE.metadata.uid = "0198c0de-1234-7abc-8def-0123456789ab"
ALICE.metadata.name = "alice"
BOB = core.User()
BOB.metadata.uid = "0198c0de-1234-7abc-8def-0123456789ac"
CHALLENGE = bytes(range(32))
OPTIONS = PARTY.creation_options(ALICE, CHALLENGE, [b"known"], DEFAULTS)


def soft_key(algorithm: int = -7) -> SoftKey:
    return SoftKey(PARTY.origin, PARTY.domain, algorithm)


def register(key: SoftKey, **client_data: Any) -> core.AuthenticatorStatusInfoFido:
    return PARTY.register(key.create(OPTIONS, **client_data), CHALLENGE, DEFAULTS)


def verify(key: SoftKey, credential: core.AuthenticatorStatusInfoFido, **more: Any) -> Any:
    user, required = more.pop("user", ALICE), more.pop("require_verification", False)
    discoverable = more.pop("discoverable", False)
    options = PARTY.request_options(CHALLENGE, credential.id, DEFAULTS)
    return PARTY.verify(
        key.get(options, **more),
        CHALLENGE,
        credential,
        user,
        require_verification=required,
        discoverable=discoverable,
    )


def why(error: pytest.ExceptionInfo[WrongResponseError]) -> str:
    return error.value.detail


def test_creation_options() -> None:
    options = json.loads(OPTIONS)
    assert options["rp"] == {"id": "example.com", "name": "Octelium - example.com"}
    assert len(unb64(options["user"]["id"])) == 16
    assert [each["alg"] for each in options["pubKeyCredParams"]] == [-8, -7, -257]
    assert options["timeout"] == 120_000
    assert options["attestation"] == "direct"
    assert options["extensions"] == {"credProps": True}
    assert options["authenticatorSelection"]["residentKey"] == "preferred"
    assert options["authenticatorSelection"]["userVerification"] == "preferred"
    assert options["excludeCredentials"] == [{"type": "public-key", "id": b64(b"known")}]
    assert unb64(options["challenge"]) == CHALLENGE
    required = json.loads(PARTY.creation_options(ALICE, CHALLENGE, [], REQUIRED))
    assert required["authenticatorSelection"]["userVerification"] == "required"
    assert requires_verification(REQUIRED)
    assert not requires_verification(DEFAULTS)


def test_request_options() -> None:
    options = json.loads(PARTY.request_options(CHALLENGE, b"id", DEFAULTS))
    assert options["rpId"] == "example.com"
    assert options["allowCredentials"] == [{"type": "public-key", "id": b64(b"id")}]
    passkey = json.loads(PARTY.passkey_options(CHALLENGE))
    assert (passkey["timeout"], passkey["userVerification"]) == (60_000, "required")
    assert passkey["allowCredentials"] == []


@pytest.mark.parametrize("algorithm", [-7, -8, -257])
def test_registering_and_verifying(algorithm: int) -> None:
    key = soft_key(algorithm)
    credential = register(key)
    assert credential.id == key.id
    assert credential.is_passkey
    assert credential.type == core.AuthenticatorStatusInfoFidoType__.ROAMING
    assert not credential.is_attestation_verified
    assert verify(key, credential).user_verified
    credential.sign_count = key.count
    key.flags = UP
    assert not verify(key, credential).user_verified


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("origin", "https://evil.test"),
        ("origin", "https://example.com"),
        ("origin", "http://example.com:8443"),
        ("origin", "https://wiki.example.com:8443"),
        ("origin", "https://example.com:8443/"),
        ("rp_id", "evil.test"),
        ("rp_id", "wiki.example.com"),
        ("cross_origin", True),
        ("flags", UV),
        ("flags", UP | UV | BS),
    ],
)
def test_elsewhere_or_without_a_person(attribute: str, value: Any) -> None:
    key, victim = soft_key(), soft_key()
    credential = register(victim)
    setattr(key, attribute, value)
    with pytest.raises(WrongResponseError):
        register(key)
    setattr(victim, attribute, value)
    with pytest.raises(WrongResponseError):
        verify(victim, credential)


def test_the_wrong_kind_or_challenge() -> None:
    key = soft_key()
    credential = register(key)
    for wrong in ({"type": "webauthn.get"}, {"challenge": b64(os.urandom(32))}):
        with pytest.raises(WrongResponseError):
            register(soft_key(), **wrong)
    for wrong in ({"type": "webauthn.create"}, {"challenge": b64(CHALLENGE + b"x")}):
        with pytest.raises(WrongResponseError):
            verify(key, credential, **wrong)
    for nothing in (b"", b"short"):
        with pytest.raises(WrongResponseError):
            PARTY.register(soft_key().create(OPTIONS), nothing, DEFAULTS)


def test_anothers_credential() -> None:
    key, other = soft_key(), soft_key()
    credential = register(key)
    register(other)
    with pytest.raises(WrongResponseError):
        verify(other, credential)
    other.id = key.id
    with pytest.raises(WrongResponseError) as caught:
        verify(other, credential)
    assert "signature" in why(caught).lower()
    with pytest.raises(WrongResponseError) as caught:
        verify(key, credential, user=BOB)
    assert "another User" in why(caught)
    key.user_handle = None
    with pytest.raises(WrongResponseError):
        verify(key, credential, discoverable=True)
    assert verify(key, credential)


def test_a_credential_registered_under_another_id() -> None:
    key = soft_key()
    key.attached_id = os.urandom(32)
    with pytest.raises(WrongResponseError):
        register(key)
    key.id = key.attached_id = bytes(1024)
    with pytest.raises(WrongResponseError, match="not accepted"):
        register(key)


def test_user_verification_where_it_is_required() -> None:
    key = soft_key()
    credential = register(key)
    key.flags = UP
    with pytest.raises(WrongResponseError):
        PARTY.register(key.create(OPTIONS), CHALLENGE, REQUIRED)
    with pytest.raises(WrongResponseError):
        verify(key, credential, require_verification=True)
    assert verify(key, credential)


def test_algorithms_that_were_not_asked_for() -> None:
    key = soft_key()
    key.public[3] = -35
    with pytest.raises(WrongResponseError) as caught:
        register(key)
    assert "algorithm" in why(caught)


def test_counters() -> None:
    key = soft_key()
    credential = register(key)
    assert credential.sign_count == 0
    key.count = -1  # stays 0: no counter at all
    assert verify(key, credential).sign_count == 0
    key.count = 6
    assert verify(key, credential).sign_count == 7
    credential.sign_count = 7
    for count in (6, 5, 0, -1):
        key.count = count
        with pytest.raises(CloneError) as caught:
            verify(key, credential)
        assert "clone" in why(caught)
    key.count = 7
    assert verify(key, credential).sign_count == 8


def test_backup_eligibility_never_changes() -> None:
    key = soft_key()
    credential = register(key)
    key.flags |= BE
    with pytest.raises(WrongResponseError):
        verify(key, credential)
    synced = register(key)
    assert synced.backup_eligible
    key.flags |= BS
    assert verify(key, synced)


def test_attestation_statements_must_be_right() -> None:
    key = soft_key()
    key.sign_attestation = True
    assert register(key).id == key.id
    key.attestation = ("packed", {"sig": b"wrong"})
    with pytest.raises(WrongResponseError):
        register(key)
    key.sign_attestation, key.attestation = False, ("none", {"more": 1})
    with pytest.raises(WrongResponseError):
        register(key)
    key.attestation = ("of-tomorrow", {"more": 1})
    assert not register(key).is_attestation_verified
    indifferent = core.ClusterConfigSpecAuthenticatorFido(
        attestation_conveyance_preference=(
            core.ClusterConfigSpecAuthenticatorFidoAttestationConveyancePreference__.NONE
        )
    )
    key.sign_attestation, key.attestation = True, ("packed", {"sig": b"wrong"})
    assert PARTY.register(key.create(OPTIONS), CHALLENGE, indifferent).id == key.id


def test_without_a_credential() -> None:
    key = soft_key()
    data = json.loads(key.create(OPTIONS))
    key.flags &= ~AT
    other = json.loads(key.get(PARTY.request_options(CHALLENGE, key.id, DEFAULTS)))
    data["response"]["clientDataJSON"] = other["response"]["clientDataJSON"]
    with pytest.raises(WrongResponseError):
        PARTY.register(json.dumps(data), CHALLENGE, DEFAULTS)


def test_whose_passkey_it_says_to_be() -> None:
    key = soft_key()
    credential = register(key)
    claim = PARTY.passkey_claim(key.get(PARTY.passkey_options(CHALLENGE)))
    assert claim.user_uid == ALICE.metadata.uid
    assert claim.id_hash == credential.id_hash
    assert claim.challenge == CHALLENGE
    for handle in (None, b"", b"short", bytes(17)):
        key.user_handle = handle
        with pytest.raises(WrongResponseError):
            PARTY.passkey_claim(key.get(PARTY.passkey_options(CHALLENGE)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
SHAPED = st.fixed_dictionaries(
    {},
    optional={
        "id": JSON,
        "rawId": st.binary(max_size=9).map(b64) | JSON,
        "response": st.fixed_dictionaries(
            {},
            optional={
                name: st.binary(max_size=200).map(b64) | JSON
                for name in (
                    "clientDataJSON",
                    "attestationObject",
                    "authenticatorData",
                    "signature",
                    "userHandle",
                )
            },
        )
        | JSON,
        "authenticatorAttachment": JSON,
        "clientExtensionResults": JSON,
        "type": JSON,
    },
)
RESPONSES = st.text(max_size=40) | JSON.map(json.dumps) | SHAPED.map(json.dumps)
KEY = soft_key()
CREDENTIAL = register(KEY)


@settings(max_examples=2000 if SOAK else 600 if SOAK else 60)
@given(RESPONSES)
def test_anything_else_is_refused(response: str) -> None:
    with pytest.raises(WrongResponseError):
        PARTY.register(response, CHALLENGE, DEFAULTS)
    with pytest.raises(WrongResponseError):
        PARTY.verify(response, CHALLENGE, CREDENTIAL, ALICE, require_verification=False)
    with pytest.raises(WrongResponseError):
        PARTY.passkey_claim(response)


@settings(max_examples=2000 if SOAK else 60)
@given(st.data())
def test_altered_responses_are_refused(data: st.DataObject) -> None:
    key = soft_key(-8)
    credential = register(key)
    options = PARTY.request_options(CHALLENGE, key.id, DEFAULTS)
    response = json.loads(key.get(options))
    field = data.draw(st.sampled_from(["clientDataJSON", "authenticatorData", "signature"]))
    value = bytearray(unb64(response["response"][field]))
    value[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
    response["response"][field] = b64(bytes(value))
    with pytest.raises(WrongResponseError):
        PARTY.verify(json.dumps(response), CHALLENGE, credential, ALICE, require_verification=False)


@pytest.mark.parametrize(
    "response",
    ["", "x" * 30_001, "[" * 20_000, '{"a":' * 5000, '{"response": null}', "NaN"],
    ids=range(6),
)
def test_bombs(response: str) -> None:
    with pytest.raises(WrongResponseError):
        PARTY.register(response, CHALLENGE, DEFAULTS)
    with pytest.raises(WrongResponseError):
        PARTY.passkey_claim(response)
