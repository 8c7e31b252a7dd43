from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from octelium.identity.attempts import Outcome
from octelium.identity.authenticators.errors import RateLimitError, WrongResponseError
from octelium.identity.errors import RefusedError
from octelium.identity.provider_rules import PendingRulesError
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.authenticators.people import ACTIONS, BROWSER, asking, ref

if TYPE_CHECKING:
    from tests.identity.authenticators.people import People


class Waiting:
    """Rules that need `rounds` results that take long."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds

    async def settle(self) -> None:
        self.rounds -= 1

    def post_authenticator(self, *_: Any) -> None:
        if self.rounds:
            raise PendingRulesError(self.settle)


async def test_rules_that_take_long(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await people.session()
    made, key = await people.add_fido(session)
    waiting = Waiting(3)
    monkeypatch.setattr(people.rules, "post_authenticator", waiting.post_authenticator)
    session = await people.step_up(session, made, key)
    assert people.get(made).status.successful_authentications == 1
    await people.configure(enable_passkey_login=True)
    waiting.rounds = 3
    login = partial(people.authenticators.with_passkey, refresh_token=None, operation="test")
    assert await login(key.get(people.authenticators.passkey_begin()), downstream=BROWSER)
    waiting.rounds = 1000
    with pytest.raises(RefusedError, match="too many"):
        await people.step_up(session, made, key)


async def test_the_log_knows_every_attempt(people: People) -> None:
    session = await people.session()
    phone, _ = await people.add_totp(session)
    people.cluster.log.attempts.clear()
    await people.authenticators.authenticate_begin(asking(session), ref(phone))
    with pytest.raises(WrongResponseError):
        await people.answer(session, phone, "nothing")
    attempt = people.cluster.log.last()
    assert attempt.outcome is Outcome.REFUSED
    assert attempt.session is not None
    assert attempt.session.uid == session.session.metadata.uid
    assert "code" in attempt.reason


async def test_nobody_uses_up_the_tries_of_others(people: People) -> None:
    alice, bob = await people.session(), await people.session(people.bob)
    phone, secret = await people.add_totp(alice)
    for _ in range(40):
        with pytest.raises(RefusedError):
            await people.authenticators.authenticate_begin(asking(bob), ref(phone))
    assert await people.step_up(alice, phone, secret)


async def test_registrations_are_limited_too(people: People) -> None:
    session = await people.session()
    made = await people.authenticators.create(
        asking(session), core.AuthenticatorStatusType__.TOTP, ""
    )
    for _ in range(20):
        await people.authenticators.register_begin(asking(session), ref(made))
    with pytest.raises(RateLimitError):
        await people.authenticators.register_begin(asking(session), ref(made))


async def test_half_finished_steps_are_nothing(people: People) -> None:
    before = await people.session()
    phone, _ = await people.add_totp(before)
    session = await people.session(authenticator_action=ACTIONS.AUTHENTICATION_REQUIRED)
    await people.authenticators.authenticate_begin(asking(session), ref(phone))
    kept = people.get(session.session).status
    assert kept.authenticator_action == ACTIONS.AUTHENTICATION_REQUIRED
    assert kept.total_authentications == 1
