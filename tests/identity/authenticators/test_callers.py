from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.identity.authenticators.callers import Caller, caller, require_second_factor
from octelium.identity.errors import RefusedError, UnauthenticatedError
from octelium.identity.tokens import TokenType
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.authenticators.people import ACTIONS, asking

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
