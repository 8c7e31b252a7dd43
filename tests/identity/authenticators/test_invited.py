from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from octelium.identity.attempts import Outcome, Way
from octelium.identity.authenticators import passkey_logins
from octelium.identity.authenticators.errors import (
    InvalidRequestError,
    RateLimitError,
    WrongResponseError,
)
from octelium.identity.errors import AuthenticationError, RefusedError, UnauthenticatedError
from octelium.identity.invitations import LIFETIME, is_invited
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.identity.authenticators.people import ACTIONS, BROWSER, STATES, asking
from tests.identity.authenticators.soft_key import UP
from tests.identity.guests import Guests, make_passkey, new_key

if TYPE_CHECKING:
    from octelium.identity.admission import IssuedTokens
    from tests.identity.authenticators.people import People

MODES = core.SessionStatusAuthenticationInfoAuthenticatorMode__


async def claimed(people: People, user: str = "alice") -> IssuedTokens:
    guests = Guests(people.cluster)
    issued = await guests.claim(await guests.invite(user))
    people.cluster.log.attempts.clear()
    return issued


def registered(people: People) -> list[core.Authenticator]:
    found = people.cluster.resources.list(core.Authenticator)
    return [one for one in found if one.status.is_registered]


async def test_a_passkey_signs_in_at_once_and_from_then_on(people: People) -> None:
    session, key = await claimed(people), new_key()
    issued = await make_passkey(people, session, key, "Firefox on Linux")
    assert issued is not None
    attempt = people.cluster.log.last()
    assert (attempt.way, attempt.outcome) == (Way.INVITATION, Outcome.SUCCEEDED)
    assert "registered" in attempt.reason
    assert attempt.authenticator is not None
    (made,) = registered(people)
    assert made.spec.display_name == "Firefox on Linux"
    assert made.status.info.fido.is_passkey
    status = issued.session.status
    assert status.authenticator_action == ACTIONS.AUTHENTICATOR_ACTION_UNSET
    assert not is_invited(issued.session)
    assert status.authentication.info.authenticator.mode == MODES.PASSKEY
    assert status.authentication.info.authenticator.info.fido.user_verified
    assert status.required_authenticator_ref.uid == made.metadata.uid
    assert issued.session.spec.expires_at.seconds > people.cluster.clock() + LIFETIME

    # Another Session, with other tokens: who had the earlier ones has nothing.
    uids = [each.metadata.uid for each in people.cluster.sessions()]
    assert uids == [issued.session.metadata.uid]
    assert people.cluster.authentication.browser_session(session.refresh_token) is None
    assert Guests(people.cluster).stored() == []

    assert people.authenticators.offers_passkeys  # although enablePasskeyLogin is not set
    again = await people.authenticators.with_passkey(
        key.get(people.authenticators.passkey_begin()),
        refresh_token=None,
        downstream=BROWSER,
        operation="test",
    )
    assert again.session.status.user_ref.name == "alice"


async def test_a_passkey_is_asked_for_and_nothing_less(people: People) -> None:
    session, key = await claimed(people), new_key()
    await people.configure(user_verification=3)  # DISCOURAGED
    challenge = await people.authenticators.invited_begin(asking(session), "")
    selection = json.loads(challenge.text)["authenticatorSelection"]
    assert selection == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    key.flags = UP  # nobody proved to be its owner
    with pytest.raises(WrongResponseError):
        await make_passkey(people, session, key)
    refused = people.cluster.log.last()
    assert refused.outcome is Outcome.REFUSED
    assert registered(people) == []
    assert not people.authenticators.offers_passkeys


async def test_what_says_that_it_is_no_passkey_is_refused(people: People) -> None:
    session, key = await claimed(people), new_key()
    challenge = await people.authenticators.invited_begin(asking(session), "")
    ref = meta.ObjectReference(uid=challenge.authenticator.metadata.uid)
    answer = json.loads(key.create(challenge.text))
    answer["clientExtensionResults"] = {"credProps": {"rk": False}}
    with pytest.raises(WrongResponseError) as refused:
        await people.authenticators.invited_finish(
            asking(session), ref, json.dumps(answer), downstream=BROWSER
        )
    assert "no passkey" in refused.value.for_log
    # The challenge is used up, but the person may try again.
    issued = await make_passkey(people, session, key)
    assert issued is not None
    assert len(people.cluster.resources.list(core.Authenticator)) == 1


async def test_one_challenge_one_passkey(people: People) -> None:
    session = await claimed(people)
    challenge = await people.authenticators.invited_begin(asking(session), "")
    ref = meta.ObjectReference(uid=challenge.authenticator.metadata.uid)
    results = await asyncio.gather(
        *(
            people.authenticators.invited_finish(
                asking(session), ref, new_key().create(challenge.text), downstream=BROWSER
            )
            for _ in range(8)
        ),
        return_exceptions=True,
    )
    assert sum(not isinstance(each, Exception) for each in results) == 1
    assert all(isinstance(e, AuthenticationError) for e in results if isinstance(e, Exception))
    assert len(registered(people)) == 1
    assert len(people.cluster.sessions()) == 1


async def test_the_challenge_of_another_session_is_of_no_use(people: People) -> None:
    mine, others = await claimed(people), await claimed(people, "bob")
    challenge = await people.authenticators.invited_begin(asking(others), "")
    ref = meta.ObjectReference(uid=challenge.authenticator.metadata.uid)
    with pytest.raises(RefusedError, match="no such Authenticator"):
        await people.authenticators.invited_finish(
            asking(mine), ref, new_key().create(challenge.text), downstream=BROWSER
        )


async def test_only_who_was_invited(people: People) -> None:
    session = await people.session()
    with pytest.raises(RefusedError, match="invitation"):
        await people.authenticators.invited_begin(asking(session), "")
    made, _ = await people.add_fido(session)
    ref = meta.ObjectReference(uid=made.metadata.uid)
    with pytest.raises(RefusedError, match="invitation"):
        await people.authenticators.invited_finish(asking(session), ref, "{}", downstream=BROWSER)
    with pytest.raises(UnauthenticatedError):
        await people.authenticators.invited_begin(type(asking(session))("x", "test"), "")


async def test_another_authenticator_of_the_user_is_not_taken(people: People) -> None:
    made, _ = await people.add_fido(await people.session())
    session = await claimed(people)
    ref = meta.ObjectReference(uid=made.metadata.uid)
    with pytest.raises(InvalidRequestError):
        await people.authenticators.invited_finish(asking(session), ref, "{}", downstream=BROWSER)


async def test_a_passkey_that_the_device_has_is_left_out(people: People) -> None:
    await people.add_fido(await people.session())
    session = await claimed(people)
    challenge = await people.authenticators.invited_begin(asking(session), "")
    assert len(json.loads(challenge.text)["excludeCredentials"]) == 1
    issued = await make_passkey(people, session, new_key())
    assert issued is not None
    assert len(registered(people)) == 2


async def test_a_credential_is_registered_once(people: People) -> None:
    _, key = await people.add_fido(await people.session(people.bob))
    with pytest.raises(WrongResponseError):
        await make_passkey(people, await claimed(people), key)


async def test_a_user_who_is_barred_meanwhile(people: People) -> None:
    session, key = await claimed(people), new_key()
    challenge = await people.authenticators.invited_begin(asking(session), "")
    user = people.cluster.get(people.cluster.alice)
    user.spec.is_disabled = True
    await people.cluster.change(user)
    ref = meta.ObjectReference(uid=challenge.authenticator.metadata.uid)
    with pytest.raises(RefusedError, match="disabled"):
        await people.authenticators.invited_finish(
            asking(session), ref, key.create(challenge.text), downstream=BROWSER
        )
    assert registered(people) == []


async def test_it_is_too_late_after_fifteen_minutes(people: People) -> None:
    session = await claimed(people)
    people.cluster.clock.now += LIFETIME
    with pytest.raises(UnauthenticatedError):
        await people.authenticators.invited_begin(asking(session), "")


async def test_a_rule_of_the_cluster_refuses(people: People) -> None:
    session, key = await claimed(people), new_key()
    people.rules.refused.add("Bad browser")
    with pytest.raises(RefusedError, match="a rule"):
        await make_passkey(people, session, key, "Bad browser")
    assert registered(people) == []
    assert len(Guests(people.cluster).stored()) == 1
    people.rules.refused.clear()
    assert await make_passkey(people, session, key) is not None


async def test_a_passkey_that_waits_for_approval_signs_nobody_in(people: People) -> None:
    await people.configure(default_state=STATES.PENDING)
    session, key = await claimed(people), new_key()
    assert await make_passkey(people, session, key) is None
    assert "approval" in people.cluster.log.last().reason
    assert people.cluster.sessions() == []
    response = key.get(people.authenticators.passkey_begin())
    with pytest.raises(WrongResponseError):
        await people.authenticators.with_passkey(
            response, refresh_token=None, downstream=BROWSER, operation="test"
        )
    (made,) = registered(people)
    made.spec.state = STATES.ACTIVE
    await people.cluster.change(made)
    response = key.get(people.authenticators.passkey_begin())
    assert await people.authenticators.with_passkey(
        response, refresh_token=None, downstream=BROWSER, operation="test"
    )


async def test_attempts_are_counted(people: People) -> None:
    session = await claimed(people)
    for _ in range(20):
        await people.authenticators.invited_begin(asking(session), "")
    with pytest.raises(RateLimitError):
        await people.authenticators.invited_begin(asking(session), "")
    assert len(people.cluster.resources.list(core.Authenticator)) == 1
    (made,) = people.cluster.resources.list(core.Authenticator)
    ref = meta.ObjectReference(uid=made.metadata.uid)
    for expected in [WrongResponseError] * 20 + [RateLimitError]:
        with pytest.raises(expected):
            await people.authenticators.invited_finish(
                asking(session), ref, "{}", downstream=BROWSER
            )


async def test_what_is_registered_besides_signs_in_too(people: People) -> None:
    """Who loses the first passkey must not be locked out for having used another."""
    first = await make_passkey(people, await claimed(people), new_key())
    assert first is not None
    made, key = await people.add_fido(first)
    assert passkey_logins.is_allowed(made, core.ClusterConfig())
    (invited,) = [one for one in registered(people) if one.metadata.uid != made.metadata.uid]
    await people.cluster.delete(invited)
    assert await people.authenticators.with_passkey(
        key.get(people.authenticators.passkey_begin()),
        refresh_token=None,
        downstream=BROWSER,
        operation="test",
    )
    others, others_key = await people.add_fido(await people.session(people.bob))
    assert not passkey_logins.is_allowed(others, core.ClusterConfig())
    response = others_key.get(people.authenticators.passkey_begin())
    with pytest.raises(RefusedError, match="passkey alone"):
        await people.authenticators.with_passkey(
            response, refresh_token=None, downstream=BROWSER, operation="test"
        )
