from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.identity.authenticators.errors import InvalidRequestError, WrongResponseError
from octelium.identity.authenticators.registration import Response
from octelium.identity.errors import RefusedError, UnauthenticatedError
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.metadata import reference
from tests.identity.authenticators.people import (
    ACTIONS,
    PARTY,
    TYPES,
    asking,
    ref,
    secret_of,
    wrong_code,
)
from tests.identity.authenticators.soft_key import SoftKey

if TYPE_CHECKING:
    from tests.identity.authenticators.people import People


async def test_totp(people: People) -> None:
    session = await people.session(authenticator_action=ACTIONS.REGISTRATION_REQUIRED)
    api = people.authenticators
    made = await api.create(asking(session), TYPES.TOTP, "phone")
    first = await api.register_begin(asking(session), ref(made))
    again = await api.register_begin(asking(session), ref(made))
    assert first.text == again.text
    assert "alice" in first.text
    secret = secret_of(first.text)
    stored = people.get(made)
    assert secret not in stored.SerializeToString()
    assert not stored.status.is_registered

    wrong = wrong_code(secret, people.cluster.clock())
    with pytest.raises(WrongResponseError):
        await api.register_finish(asking(session), ref(made), Response(TYPES.TOTP, wrong))
    issued = await api.register_finish(
        asking(session), ref(made), Response(TYPES.TOTP, people.password(secret))
    )
    assert issued is not None
    with pytest.raises(UnauthenticatedError):  # whoever had them could not do anything, and cannot
        await api.list(asking(session), meta.CommonListOptions())
    before, session = session.session.status.authentication, issued
    assert issued.session.status.authentication.info == before.info
    assert issued.session.status.authentication.token_id != before.token_id
    done = people.get(made)
    assert done.status.is_registered
    assert done.status.description
    action = people.get(session.session).status.authenticator_action
    assert action == ACTIONS.AUTHENTICATOR_ACTION_UNSET
    with pytest.raises(InvalidRequestError, match="already"):
        await api.register_begin(asking(session), ref(made))
    challenge = await api.authenticate_begin(asking(session), ref(made))
    assert challenge.text == ""
    with pytest.raises(WrongResponseError):  # the password that registered it
        await people.answer(session, done, people.password(secret))


async def test_another_session_gets_another_secret(people: People) -> None:
    one, two = await people.session(), await people.session()
    api = people.authenticators
    made = await api.create(asking(one), TYPES.TOTP, "phone")
    first = secret_of((await api.register_begin(asking(one), ref(made))).text)
    second = secret_of((await api.register_begin(asking(two), ref(made))).text)
    assert first != second
    for secret in (first, second):
        response = Response(TYPES.TOTP, people.password(secret))
        with pytest.raises(WrongResponseError):
            await api.register_finish(asking(one), ref(made), response)
    people.cluster.clock.now += 1200
    with pytest.raises(WrongResponseError):
        await api.register_finish(
            asking(two), ref(made), Response(TYPES.TOTP, people.password(second))
        )


async def test_fido(people: People) -> None:
    session = await people.session()
    made, key = await people.add_fido(session)
    assert made.status.is_registered
    assert made.status.info.fido.id == key.id
    assert made.status.description == "Security key"
    found = people.cluster.resources.list(
        core.Authenticator, by={"status.info.fido.idHash": made.status.info.fido.id_hash.hex()}
    )
    assert [one.metadata.uid for one in found] == [made.metadata.uid]


async def test_a_credential_is_registered_once(people: People) -> None:
    alice, bob = await people.session(), await people.session(people.bob)
    _, key = await people.add_fido(alice)
    for session in (alice, bob):
        with pytest.raises(WrongResponseError) as caught:
            await people.add_fido(session, key=key)
        assert "already" in caught.value.detail


async def test_a_wrong_response_uses_up_the_challenge(people: People) -> None:
    session = await people.session()
    api, key = people.authenticators, SoftKey("https://evil.test", PARTY.domain)
    made = await api.create(asking(session), TYPES.FIDO, "key")
    challenge = await api.register_begin(asking(session), ref(made))
    response = Response(TYPES.FIDO, key.create(challenge.text))
    with pytest.raises(WrongResponseError):
        await api.register_finish(asking(session), ref(made), response)
    key.origin = PARTY.origin
    response = Response(TYPES.FIDO, key.create(challenge.text))
    with pytest.raises(WrongResponseError) as caught:
        await api.register_finish(asking(session), ref(made), response)
    assert "already" in caught.value.detail
    assert not people.get(made).status.is_registered


@pytest.mark.parametrize("other", ["session", "time", "type"])
async def test_challenges_are_bound(people: People, other: str) -> None:
    session, second = await people.session(), await people.session()
    api, key = people.authenticators, SoftKey(PARTY.origin, PARTY.domain)
    made = await api.create(asking(session), TYPES.FIDO, "key")
    challenge = await api.register_begin(asking(session), ref(made))
    response = Response(TYPES.FIDO, key.create(challenge.text))
    if other == "time":
        people.cluster.clock.now += 120
    who = second if other == "session" else session
    error: type[Exception] = WrongResponseError
    if other == "type":
        response, error = Response(TYPES.TOTP, response.text), InvalidRequestError
    with pytest.raises(error):
        await api.register_finish(asking(who), ref(made), response)
    assert not people.get(made).status.is_registered


async def test_the_device_of_the_session(people: People) -> None:
    device = core.Device()
    device.metadata.name = "linux-1"
    device = await people.cluster.write(lambda tx: tx.create(device))
    session = await people.session(client=True, device_ref=reference(device))
    fido = await people.authenticators.create(asking(await people.session()), TYPES.FIDO, "")
    made, _ = await people.add_totp(session)
    assert made.status.device_ref.uid == device.metadata.uid
    with pytest.raises((InvalidRequestError, RefusedError)):
        await people.authenticators.register_begin(asking(session), ref(fido))
