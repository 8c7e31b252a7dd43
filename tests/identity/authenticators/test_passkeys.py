from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.identity.authenticators import uses
from octelium.identity.authenticators.authentications import CLONED
from octelium.identity.authenticators.errors import CloneError, WrongResponseError
from octelium.identity.authenticators.passkeys import PasskeyChallenges
from octelium.identity.errors import DisabledUserError, RefusedError, SessionLimitError
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.authenticators.people import BROWSER, STATES, asking
from tests.identity.authenticators.soft_key import UP, b64, unb64
from tests.identity.cluster import NOW

if TYPE_CHECKING:
    from octelium.identity.admission import IssuedTokens
    from tests.identity.authenticators.people import People
    from tests.identity.authenticators.soft_key import SoftKey

MODES = core.SessionStatusAuthenticationInfoAuthenticatorMode__


async def sign_in(people: People, response: str, token: str | None = None) -> IssuedTokens:
    return await people.authenticators.with_passkey(
        response, refresh_token=token, downstream=BROWSER, operation="test"
    )


async def prepared(people: People) -> tuple[Any, SoftKey, IssuedTokens]:
    await people.configure(enable_passkey_login=True)
    session = await people.session()
    made, key = await people.add_fido(session)
    return made, key, session


def respond(people: People, key: SoftKey) -> str:
    return key.get(people.authenticators.passkey_begin())


async def test_signing_in(people: People) -> None:
    made, key, _ = await prepared(people)
    people.cluster.log.attempts.clear()
    issued = await sign_in(people, respond(people, key))
    status = issued.session.status
    assert status.user_ref.uid == people.cluster.alice.metadata.uid
    assert status.is_browser
    assert status.type == core.SessionStatusType__.CLIENTLESS
    assert status.required_authenticator_ref.uid == made.metadata.uid
    used = status.authentication.info.authenticator
    assert used.mode == MODES.PASSKEY
    assert used.info.fido.user_verified
    assert people.get(made).status.successful_authentications == 1
    assert uses.last(people.get(made)) == people.cluster.clock.now
    attempt = people.cluster.log.last()
    assert attempt.user is not None
    assert attempt.user.name == "alice"
    found = await people.authenticators.available(asking(issued))
    assert found.main == people.get(made)


async def test_only_where_it_is_enabled(people: People) -> None:
    _, key, _ = await prepared(people)
    response = respond(people, key)
    await people.configure(enable_passkey_login=False)
    assert not people.authenticators.offers_passkeys
    with pytest.raises(RefusedError, match="passkey"):
        people.authenticators.passkey_begin()
    with pytest.raises(RefusedError, match="passkey"):
        await sign_in(people, response)


async def test_once_and_within_two_minutes(people: People) -> None:
    _, key, _ = await prepared(people)
    key.count = -1  # without a counter, which would refuse it too
    response = respond(people, key)
    assert await sign_in(people, response)
    with pytest.raises(WrongResponseError) as caught:
        await sign_in(people, response)
    assert "already" in caught.value.detail
    key.count = -1
    response = respond(people, key)
    people.cluster.clock.now += 120
    with pytest.raises(WrongResponseError) as caught:
        await sign_in(people, response)
    assert "too old" in caught.value.detail


async def test_of_many_with_one_response_one_gets_in(people: People) -> None:
    _, key, _ = await prepared(people)
    key.count = -1
    response = respond(people, key)
    results = await asyncio.gather(
        *(sign_in(people, response) for _ in range(8)), return_exceptions=True
    )
    assert sum(not isinstance(result, BaseException) for result in results) == 1


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("origin", "https://evil.test"),
        ("rp_id", "evil.test"),
        ("flags", UP),
        ("user_handle", None),
        ("user_handle", bytes(16)),
        ("id", b"unknown"),
    ],
)
async def test_refusals_leave_no_trace(people: People, attribute: str, value: Any) -> None:
    _, key, _ = await prepared(people)
    setattr(key, attribute, value)
    revision = people.cluster.resources.revision
    with pytest.raises(WrongResponseError):
        await sign_in(people, respond(people, key))
    assert people.cluster.resources.revision == revision


async def test_challenges_of_others(people: People) -> None:
    _, key, session = await prepared(people)
    options = json.loads(people.authenticators.passkey_begin())
    genuine = unb64(options["challenge"])
    for challenge in (bytes(32), b"", genuine[:-1] + bytes([genuine[-1] ^ 1])):
        options["challenge"] = b64(challenge)
        with pytest.raises(WrongResponseError):
            await sign_in(people, key.get(json.dumps(options)))
    (made,) = (await people.authenticators.available(asking(session))).items
    ref = type(session.session.status.user_ref)(uid=made.metadata.uid)
    step_up = await people.authenticators.authenticate_begin(asking(session), ref)
    with pytest.raises(WrongResponseError):
        await sign_in(people, key.get(step_up.text))


async def test_the_handle_of_another_user(people: People) -> None:
    _, key, _ = await prepared(people)
    _, other = await people.add_fido(await people.session(people.bob))
    key.user_handle = other.user_handle
    with pytest.raises(WrongResponseError) as caught:
        await sign_in(people, respond(people, key))
    assert "another User" in caught.value.detail


@pytest.mark.parametrize("state", [STATES.PENDING, STATES.REJECTED])
async def test_states(people: People, state: Any) -> None:
    made, key, _ = await prepared(people)
    made.spec.state = state
    await people.cluster.change(made)
    with pytest.raises(WrongResponseError):
        await sign_in(people, respond(people, key))


@pytest.mark.parametrize("change", ["disabled", "locked", "workload"])
async def test_users_that_may_not(people: People, change: str) -> None:
    _, key, _ = await prepared(people)
    alice = people.cluster.alice
    alice.spec.is_disabled = change == "disabled"
    alice.status.is_locked = change == "locked"
    if change == "workload":
        alice.spec.type = core.UserSpecType__.WORKLOAD
    await people.cluster.change(alice)
    with pytest.raises(RefusedError) as caught:
        await sign_in(people, respond(people, key))
    assert isinstance(caught.value, DisabledUserError) == (change != "workload")


async def test_only_who_has_the_key_learns_that_the_user_is_disabled(people: People) -> None:
    made, key, _ = await prepared(people)
    alice = people.cluster.alice
    alice.spec.is_disabled = True
    alice = await people.cluster.change(alice)
    genuine = respond(people, key)
    forged = json.loads(genuine)
    signature = bytearray(unb64(forged["response"]["signature"]))
    signature[-1] ^= 1
    forged["response"]["signature"] = b64(bytes(signature))
    before = people.get(made)
    with pytest.raises(WrongResponseError):
        await sign_in(people, json.dumps(forged))
    key.count += 1
    genuine = respond(people, key)
    with pytest.raises(DisabledUserError):
        await sign_in(people, genuine)
    assert people.get(made).status.info == before.status.info
    # What was answered once is void, also when the User is let in again.
    alice.spec.is_disabled = False
    await people.cluster.change(alice)
    with pytest.raises(WrongResponseError):
        await sign_in(people, genuine)


async def test_clones_are_recorded(people: People) -> None:
    made, key, _ = await prepared(people)
    key.count = 5
    assert await sign_in(people, respond(people, key))
    key.count = 5
    before = len(people.cluster.sessions())
    with pytest.raises(CloneError):
        await sign_in(people, respond(people, key))
    assert "clone" in people.get(made).status.ext[CLONED]["reason"]
    assert people.get(made).status.failed_authentications == 1
    assert len(people.cluster.sessions()) == before


async def test_rules_may_refuse(people: People) -> None:
    made, key, _ = await prepared(people)
    people.rules.refused.add("key")
    before = len(people.cluster.sessions())
    with pytest.raises(RefusedError, match="rule"):
        await sign_in(people, respond(people, key))
    assert people.get(made).status.failed_authentications == 1
    assert len(people.cluster.sessions()) == before
    (session, info) = people.rules.asked[-1]
    assert session.status.is_browser
    assert info.authenticator.mode == MODES.PASSKEY


async def test_the_session_before_ends(people: People) -> None:
    _, key, session = await prepared(people)
    client = await people.session(client=True)
    bob = await people.session(people.bob)
    first = await sign_in(people, respond(people, key), session.refresh_token)
    assert len(people.cluster.sessions()) == 3
    for token in (client.refresh_token, bob.refresh_token, session.refresh_token, "x"):
        await sign_in(people, respond(people, key), token)
    assert {first.session.metadata.uid, client.session.metadata.uid, bob.session.metadata.uid} < {
        one.metadata.uid for one in people.cluster.sessions()
    }


async def test_limits_of_sessions(people: People) -> None:
    _, key, session = await prepared(people)
    people.cluster.alice.spec.session.max_per_user = 1
    await people.cluster.change(people.cluster.alice)
    revision = people.cluster.resources.revision
    with pytest.raises(SessionLimitError):
        await sign_in(people, respond(people, key))
    assert people.cluster.resources.revision == revision
    assert await sign_in(people, respond(people, key), session.refresh_token)


@given(st.binary(max_size=40))
def test_challenges(other: bytes) -> None:
    challenges = PasskeyChallenges()
    challenge = challenges.new(NOW)
    assert len(challenge) == 32
    challenges.check(challenge, NOW + 119)
    for wrong, at in ((other, NOW), (challenge, NOW + 120)):
        with pytest.raises(WrongResponseError):
            challenges.check(wrong, at)
    with pytest.raises(WrongResponseError):
        PasskeyChallenges().check(challenge, NOW)
    challenges.consume(challenge, NOW)
    with pytest.raises(WrongResponseError):
        challenges.check(challenge, NOW)
    challenges.consume(challenges.new(NOW + 500), NOW + 500)
    assert len(challenges._answered) == 1
