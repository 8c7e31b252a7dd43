from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.metadata import reference
from tests.apiserver.harness import codes

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness

STATES = core.AuthenticatorSpecState__


@pytest.fixture
async def authenticator(api: Harness) -> core.Authenticator:
    made = core.Authenticator()
    made.metadata.name = "totp-aaaaaa"
    made.spec.state = STATES.ACTIVE
    made.spec.display_name = "phone"
    status = made.status
    status.type = core.AuthenticatorStatusType__.TOTP
    status.user_ref.CopyFrom(reference(api.root))
    status.info.totp.shared_secret.ciphertext = b"sealed"
    status.info.totp.digits = 6
    status.authentication_attempt.encrypted_challenge_request.ciphertext = b"sealed"
    status.authentication_attempt.created_at.FromSeconds(5)
    status.last_authentication_attempts.add().data_map["x"] = b"y"
    stored: core.Authenticator = (await api.store(made))[0]
    return stored


async def test_what_is_sealed_stays_inside(api: Harness, authenticator: core.Authenticator) -> None:
    got = await api.core("GetAuthenticator", meta.GetOptions(name="totp-aaaaaa"))
    listed = await api.core("ListAuthenticator")
    updated = await api.core("UpdateAuthenticator", authenticator)
    for reply in (got, updated, *listed.items):
        status = reply.status
        assert status.info.totp.digits == 6
        assert not status.info.totp.HasField("shared_secret")
        assert status.authentication_attempt.created_at.seconds == 5
        assert not status.authentication_attempt.HasField("encrypted_challenge_request")
        assert not status.last_authentication_attempts[0].data_map
    stored = api.resources.get(core.Authenticator, name="totp-aaaaaa")
    assert stored.status.info.totp.shared_secret.ciphertext == b"sealed"


async def test_only_the_spec_can_be_changed(
    api: Harness, authenticator: core.Authenticator
) -> None:
    authenticator.spec.state = STATES.REJECTED
    authenticator.status.is_registered = True
    updated = await api.core("UpdateAuthenticator", authenticator)
    assert updated.spec.state == STATES.REJECTED
    assert not updated.status.is_registered
    authenticator.spec.state = STATES.STATE_UNKNOWN
    error = await api.refused("UpdateAuthenticator", authenticator)
    assert codes(error)[0] == "INVALID_ARGUMENT"


async def test_deleting_and_listing_by_user(
    api: Harness, authenticator: core.Authenticator
) -> None:
    options = core.ListAuthenticatorOptions(user_ref=meta.ObjectReference(name="root"))
    assert len((await api.core("ListAuthenticator", options)).items) == 1
    await api.core("DeleteAuthenticator", meta.DeleteOptions(uid=authenticator.metadata.uid))
    assert len((await api.core("ListAuthenticator", options)).items) == 0
