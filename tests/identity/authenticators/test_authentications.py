from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from octelium.identity.authenticators import uses
from octelium.identity.authenticators.authentications import CLONED
from octelium.identity.authenticators.errors import (
    CloneError,
    InvalidRequestError,
    RateLimitError,
    WrongResponseError,
)
from octelium.identity.authenticators.registration import Response
from octelium.identity.errors import RefusedError, TooEarlyError, UnauthenticatedError
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import reference
from tests.identity.authenticators.people import (
    ACTIONS,
    BROWSER,
    STATES,
    TYPES,
    asking,
    ref,
)

if TYPE_CHECKING:
    from tests.identity.authenticators.people import People

MODES = core.SessionStatusAuthenticationInfoAuthenticatorMode__


async def test_totp_steps_up(people: People) -> None:
    first = await people.session()
    phone, secret = await people.add_totp(first)
    session = await people.session(authenticator_action=ACTIONS.AUTHENTICATION_REQUIRED)
    people.cluster.log.attempts.clear()
    done = await people.step_up(session, phone, secret)
    status = done.session.status
    assert status.authenticator_action == ACTIONS.AUTHENTICATOR_ACTION_UNSET
    info = status.authentication.info
    assert info.type == core.SessionStatusAuthenticationInfoType__.AUTHENTICATOR
    assert info.authenticator.authenticator_ref.uid == phone.metadata.uid
    assert (info.authenticator.type, info.authenticator.mode) == (TYPES.TOTP, MODES.MFA)
    assert info.downstream.user_agent == BROWSER.user_agent
    assert not status.HasField("required_authenticator_ref")
    assert status.total_authentications == 2
    kept = people.get(phone).status
    assert (kept.successful_authentications, kept.failed_authentications) == (1, 0)
    assert kept.info.totp.last_accepted_at.seconds == people.cluster.clock.now
    assert uses.last(people.get(phone)) == people.cluster.clock.now
    attempt = people.cluster.log.last()
    assert attempt.authenticator is not None
    assert attempt.authenticator.uid == phone.metadata.uid
    with pytest.raises(UnauthenticatedError):  # the tokens of before are dead
        await people.authenticators.available(asking(session))
    assert await people.authenticators.available(asking(done))


async def test_fido_pins_the_session(people: People) -> None:
    session = await people.session()
    made, key = await people.add_fido(session)
    done = await people.step_up(session, made, key)
    info = done.session.status.authentication.info.authenticator
    assert info.mode == MODES.DEFAULT
    assert info.info.fido.user_present
    assert info.info.fido.user_verified
    assert done.session.status.required_authenticator_ref.uid == made.metadata.uid
    assert people.get(made).status.info.fido.sign_count == key.count == 1


async def test_a_password_is_good_once(people: People) -> None:
    session, other = await people.session(), await people.session()
    phone, secret = await people.add_totp(session)
    password = people.password(secret)
    session = await people.step_up(session, phone, secret)
    for who in (session, other):
        await people.authenticators.authenticate_begin(asking(who), ref(phone))
        with pytest.raises(WrongResponseError):
            await people.answer(who, phone, password)
    assert people.get(phone).status.failed_authentications == 2


async def test_of_many_with_one_password_one_gets_in(people: People) -> None:
    session = await people.session()
    phone, secret = await people.add_totp(session)
    await people.authenticators.authenticate_begin(asking(session), ref(phone))
    password = people.password(secret)
    results = await asyncio.gather(
        *(people.answer(session, phone, password) for _ in range(8)), return_exceptions=True
    )
    assert sum(not isinstance(result, BaseException) for result in results) == 1


async def test_a_challenge_is_answered_once(people: People) -> None:
    session = await people.session()
    made, key = await people.add_fido(session)
    challenge = await people.authenticators.authenticate_begin(asking(session), ref(made))
    response = key.get(challenge.text)
    done = await people.answer(session, made, response)
    with pytest.raises(WrongResponseError) as caught:
        await people.answer(done, made, response)
    assert "already" in caught.value.detail
    again = await people.authenticators.authenticate_begin(asking(done), ref(made))
    assert again.text != challenge.text
    with pytest.raises(WrongResponseError):
        await people.answer(done, made, response)


async def test_a_wrong_response_uses_up_the_challenge(people: People) -> None:
    session = await people.session()
    made, key = await people.add_fido(session)
    challenge = await people.authenticators.authenticate_begin(asking(session), ref(made))
    right = key.get(challenge.text)
    with pytest.raises(WrongResponseError):
        await people.answer(session, made, "{}")
    with pytest.raises(WrongResponseError) as caught:
        await people.answer(session, made, right)
    assert "already" in caught.value.detail
    assert people.get(made).status.failed_authentications == 2


async def test_nothing_without_a_challenge(people: People) -> None:
    session = await people.session()
    made, secret = await people.add_totp(session)
    with pytest.raises(WrongResponseError):
        await people.answer(session, made, people.password(secret))
    with pytest.raises(WrongResponseError):
        await people.answer(session, made, "")


async def test_a_challenge_of_another_session(people: People) -> None:
    mine, stolen = await people.session(), await people.session()
    made, key = await people.add_fido(mine)
    challenge = await people.authenticators.authenticate_begin(asking(mine), ref(made))
    with pytest.raises(WrongResponseError) as caught:
        await people.answer(stolen, made, key.get(challenge.text))
    assert "another Session" in caught.value.detail


async def test_too_late(people: People) -> None:
    session = await people.session()
    made, key = await people.add_fido(session)
    challenge = await people.authenticators.authenticate_begin(asking(session), ref(made))
    people.cluster.clock.now += 120
    with pytest.raises(WrongResponseError) as caught:
        await people.answer(session, made, key.get(challenge.text))
    assert "too old" in caught.value.detail


async def test_clones_are_refused_and_recorded(people: People) -> None:
    session = await people.session()
    made, key = await people.add_fido(session)
    key.count = 10
    session = await people.step_up(session, made, key)
    required = people.get(session.session)
    required.status.authenticator_action = ACTIONS.AUTHENTICATION_REQUIRED
    await people.cluster.change(required)
    people.cluster.log.attempts.clear()
    key.count = 4
    with pytest.raises(CloneError):
        await people.step_up(session, made, key)
    kept = people.get(made).status
    assert kept.failed_authentications == 1
    assert kept.info.fido.sign_count == 11
    assert "counter 5 after 11" in kept.ext[CLONED]["reason"]
    action = people.get(session.session).status.authenticator_action
    assert action == ACTIONS.AUTHENTICATION_REQUIRED
    assert "clone" in people.cluster.log.last().reason


async def test_the_credential_of_another_user(people: People) -> None:
    alice, bob = await people.session(), await people.session(people.bob)
    mine, _ = await people.add_fido(alice)
    _, other = await people.add_fido(bob)
    challenge = await people.authenticators.authenticate_begin(asking(alice), ref(mine))
    with pytest.raises(WrongResponseError):
        await people.answer(alice, mine, other.get(challenge.text))


@pytest.mark.parametrize("state", [STATES.PENDING, STATES.REJECTED])
async def test_states(people: People, state: Any) -> None:
    session = await people.session()
    made, secret = await people.add_totp(session)
    await people.authenticators.authenticate_begin(asking(session), ref(made))
    made = people.get(made)
    made.spec.state = state
    made = await people.cluster.change(made)
    with pytest.raises(RefusedError, match="cannot authenticate"):
        await people.authenticators.authenticate_begin(asking(session), ref(made))
    with pytest.raises(RefusedError, match="cannot authenticate"):
        await people.answer(session, made, people.password(secret))
    assert people.get(made) == made


async def test_unregistered_ones(people: People) -> None:
    session = await people.session()
    made = await people.authenticators.create(asking(session), TYPES.TOTP, "")
    await people.authenticators.register_begin(asking(session), ref(made))
    with pytest.raises(RefusedError):
        await people.authenticators.authenticate_begin(asking(session), ref(made))
    with pytest.raises(RefusedError):
        await people.answer(session, made, "123456")


async def test_rules_may_refuse(people: People) -> None:
    session = await people.session(authenticator_action=ACTIONS.AUTHENTICATION_REQUIRED)
    before = await people.session()
    made, secret = await people.add_totp(before, "weak")
    people.rules.refused.add("weak")
    await people.authenticators.authenticate_begin(asking(session), ref(made))
    password = people.password(secret)
    with pytest.raises(RefusedError, match="rule"):
        await people.answer(session, made, password)
    (asked, info) = people.rules.asked[-1]
    assert asked.metadata.uid == session.session.metadata.uid
    assert info.authenticator.mode == MODES.MFA
    kept = people.get(made).status
    assert kept.failed_authentications == 1
    people.rules.refused.clear()
    await people.authenticators.authenticate_begin(asking(session), ref(made))
    with pytest.raises(WrongResponseError):  # it was used
        await people.answer(session, made, password)


async def test_guesses_are_limited(people: People) -> None:
    session = await people.session()
    phone, secret = await people.add_totp(session)
    refused = 0
    for _ in range(60):
        try:
            await people.authenticators.authenticate_begin(asking(session), ref(phone))
            with pytest.raises(WrongResponseError):
                await people.answer(session, phone, "123 45x")
        except RateLimitError:
            refused += 1
    assert refused > 35
    assert people.get(phone).status.failed_authentications <= 20
    with pytest.raises(RateLimitError):
        await people.answer(session, phone, people.password(secret))


async def test_how_often_a_session_is_authenticated_again(people: People) -> None:
    session = await people.session()
    made, key = await people.add_fido(session)
    for _ in range(5):
        session = await people.step_up(session, made, key)
    with pytest.raises(TooEarlyError):
        await people.step_up(session, made, key)
    waiting = people.get(session.session)
    waiting.status.authenticator_action = ACTIONS.AUTHENTICATION_REQUIRED
    await people.cluster.change(waiting)
    assert await people.step_up(session, made, key)


async def test_only_what_the_client_can_do(people: People) -> None:
    browser, client = await people.session(), await people.session(client=True)
    made, _ = await people.add_fido(browser)
    phone, secret = await people.add_totp(browser)
    with pytest.raises(RefusedError):
        await people.authenticators.authenticate_begin(asking(client), ref(made))
    assert await people.step_up(client, phone, secret)
    await people.authenticators.authenticate_begin(asking(browser), ref(phone))
    with pytest.raises(InvalidRequestError):
        await people.authenticators.authenticate(
            asking(browser), ref(phone), Response(TYPES.FIDO, "{}"), downstream=BROWSER
        )


async def test_devices(people: People) -> None:
    def device(name: str) -> core.Device:
        made = core.Device()
        made.metadata.name = name
        return made

    one = await people.cluster.write(lambda tx: tx.create(device("linux-1")))
    two = await people.cluster.write(lambda tx: tx.create(device("linux-2")))
    first = await people.session(client=True, device_ref=reference(one))
    phone, secret = await people.add_totp(first)
    elsewhere = await people.session(client=True, device_ref=reference(two))
    with pytest.raises(RefusedError):
        await people.authenticators.authenticate_begin(asking(elsewhere), ref(phone))
    browser = await people.session()
    done = await people.step_up(browser, phone, secret)
    assert not done.session.status.HasField("device_ref")

    made, key = await people.add_fido(done)
    made.status.info.fido.type = core.AuthenticatorStatusInfoFidoType__.PLATFORM
    made.status.device_ref.CopyFrom(reference(one))
    await people.cluster.change(made)
    done = await people.step_up(done, made, key)
    assert done.session.status.device_ref.uid == one.metadata.uid
