from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.identity.authenticators.callers import (
    PROVED,
    Caller,
    caller,
    require_second_factor,
)
from octelium.identity.authenticators.errors import ProofNeededError
from octelium.identity.errors import RefusedError, UnauthenticatedError
from octelium.identity.scopes import parse_scopes
from octelium.identity.tokens import TokenType
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.authenticators.people import ACTIONS, TYPES, asking, ref
from tests.identity.cluster import CLI

if TYPE_CHECKING:
    from tests.identity.authenticators.people import People

STATES = core.SessionSpecState__


async def find(people: People, token: str) -> Caller:
    claims = people.cluster.keyring.verifier.verify(token, TokenType.REFRESH)
    assert claims is not None
    return await people.cluster.write(lambda tx: caller(tx, claims, int(people.cluster.clock())))


async def test_who_asks(people: People) -> None:
    session = await people.session()
    found = await find(people, session.refresh_token)
    assert found.session == session.session
    assert found.user == people.cluster.alice
    assert found.config.status.domain == "example.com"
    assert found.is_human
    robot = await people.session(people.cluster.robot, client=True)
    assert not (await find(people, robot.refresh_token)).is_human


async def test_pending_sessions_may_ask_and_rejected_ones_may_not(people: People) -> None:
    pending = await people.session(state=STATES.PENDING)
    assert await people.authenticators.available(asking(pending))
    for spoilt in (
        await people.session(state=STATES.REJECTED),
        await people.session(is_locked=True),
    ):
        with pytest.raises(UnauthenticatedError):
            await people.authenticators.available(asking(spoilt))


@pytest.mark.parametrize("change", ["disabled", "locked", "gone"])
async def test_users_that_may_not(people: People, change: str) -> None:
    session = await people.session(people.bob)
    expected: type[Exception] = RefusedError
    if change == "disabled":
        people.bob.spec.is_disabled = True
        await people.cluster.change(people.bob)
    elif change == "locked":
        people.bob.status.is_locked = True
        await people.cluster.change(people.bob)
    else:
        await people.cluster.delete(people.bob)
        expected = UnauthenticatedError
    with pytest.raises(expected):
        await people.authenticators.available(asking(session))


async def test_tokens_that_are_none(people: People) -> None:
    session = await people.session()
    for token in ("", "x", session.access_token):
        session_like: Any = type(session)(token, token, 1, 1, session.session)
        with pytest.raises(UnauthenticatedError):
            await people.authenticators.available(asking(session_like))
    people.cluster.clock.now += 21 * 3600
    with pytest.raises(UnauthenticatedError):
        await people.authenticators.available(asking(session))


@pytest.mark.parametrize(("action", "passes"), [(n, n != 1) for n in range(5)])
def test_who_must_authenticate_first(action: Any, passes: bool) -> None:
    session = core.Session()
    session.status.authenticator_action = action
    who = Caller(session, core.User(), core.ClusterConfig())
    assert ACTIONS.AUTHENTICATION_REQUIRED == 1
    if passes:
        require_second_factor(who)
    else:
        with pytest.raises(RefusedError, match="first"):
            require_second_factor(who)


@pytest.mark.parametrize(
    ("scopes", "passes"),
    [
        ([], True),
        (["service:wiki"], False),
        (["service:octelium-api/*"], True),
        (["service:*"], True),
        (["api:*"], True),
        (["api:auth"], True),
        (["api:user"], False),
        (["api:auth.MainService/Logout"], False),
    ],
)
async def test_scopes_hold_for_authenticators_too(
    people: People, scopes: list[str], passes: bool
) -> None:
    session = await people.session()
    made = await people.authenticators.create(asking(session), TYPES.TOTP, "phone")
    stored = people.get(session.session)
    if scopes:
        stored.status.scopes.extend(parse_scopes(scopes))
        await people.cluster.change(stored)
    api, revision = people.authenticators, people.cluster.resources.revision
    for operation in (
        lambda: api.create(asking(session), TYPES.TOTP, ""),
        lambda: api.rename(asking(session), ref(made), "x"),
        lambda: api.register_begin(asking(session), ref(made)),
        lambda: api.delete(asking(session), ref(made)),
    ):
        if passes:
            await operation()
        else:
            with pytest.raises(RefusedError, match="scopes"):
                await operation()
    assert (people.cluster.resources.revision == revision) is not passes


async def test_a_token_alone_neither_adds_nor_removes_one(people: People) -> None:
    """Whoever has stolen a Session's tokens has no Authenticator of its User."""
    owner, thief = await people.session(), await people.session(client=True)
    made, secret = await people.add_totp(owner)
    begun = await people.authenticators.create(asking(owner), TYPES.TOTP, "begun")
    api, revision = people.authenticators, people.cluster.resources.revision
    for operation in (
        api.create(asking(thief), TYPES.TOTP, ""),
        api.register_begin(asking(thief), ref(begun)),
        api.delete(asking(thief), ref(made)),
    ):
        with pytest.raises(ProofNeededError, match="prove first"):
            await operation
    assert people.cluster.resources.revision == revision
    await api.delete(asking(thief), ref(begun))  # it never was one

    proved = await people.step_up(thief, made, secret)
    people.cluster.clock.now += PROVED - 1
    await api.create(asking(proved), TYPES.TOTP, "second")
    renewed = await people.cluster.authentication.with_refresh_token(
        proved.refresh_token, downstream=CLI, operation="renew"
    )
    await api.create(asking(renewed), TYPES.TOTP, "third")
    people.cluster.clock.now += 1
    with pytest.raises(ProofNeededError):
        await api.delete(asking(renewed), ref(made))


async def test_who_has_just_registered_one_has_proved_it(people: People) -> None:
    session = await people.session()
    made, _ = await people.add_totp(session)
    await people.add_fido(session)
    people.cluster.clock.now += PROVED
    with pytest.raises(ProofNeededError):
        await people.authenticators.delete(asking(session), ref(made))
    other = await people.session()
    with pytest.raises(ProofNeededError):
        await people.authenticators.create(asking(other), TYPES.TOTP, "")


async def test_authenticators_that_do_not_count_need_no_proof(people: People) -> None:
    first, second = await people.session(), await people.session()
    made, _ = await people.add_totp(first)
    made.spec.state = core.AuthenticatorSpecState__.REJECTED
    await people.cluster.change(made)
    await people.authenticators.create(asking(second), TYPES.TOTP, "")
