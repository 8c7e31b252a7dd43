from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.identity.authenticators import available
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.identity.authenticators.people import STATES, TYPES, asking

if TYPE_CHECKING:
    from tests.identity.authenticators.people import People

ALICE = meta.ObjectReference(uid="alice")


def session(*, browser: bool = False, client: bool = False, device: str = "") -> core.Session:
    made = core.Session()
    kinds = core.SessionStatusType__
    made.status.type = kinds.CLIENT if client else kinds.CLIENTLESS
    made.status.is_browser = browser
    made.status.user_ref.CopyFrom(ALICE)
    if device:
        made.status.device_ref.uid = device
    return made


def authenticator(kind: Any, device: str = "") -> core.Authenticator:
    made = core.Authenticator()
    made.spec.state = STATES.ACTIVE
    made.status.type = kind
    made.status.is_registered = True
    made.status.user_ref.CopyFrom(ALICE)
    if device:
        made.status.device_ref.uid = device
    return made


@pytest.mark.parametrize(
    ("asker", "allowed"),
    [
        (session(browser=True), {TYPES.FIDO, TYPES.TOTP}),
        (session(client=True), {TYPES.TPM, TYPES.TOTP}),
        (session(), set()),
    ],
)
def test_types_by_client(asker: core.Session, allowed: set[int]) -> None:
    assert available.allowed_types(asker) == allowed
    for kind in (TYPES.FIDO, TYPES.TOTP, TYPES.TPM, TYPES.TYPE_UNKNOWN):
        assert available.is_usable(asker, authenticator(kind)) == (kind in allowed)


def test_what_is_not_usable() -> None:
    browser = session(browser=True)
    for state in (STATES.PENDING, STATES.REJECTED, STATES.STATE_UNKNOWN):
        one = authenticator(TYPES.TOTP)
        one.spec.state = state
        assert not available.is_usable(browser, one)
    one = authenticator(TYPES.TOTP)
    one.status.is_registered = False
    assert not available.is_usable(browser, one)
    one = authenticator(TYPES.TOTP)
    one.status.user_ref.uid = "bob"
    assert not available.is_usable(browser, one)


@pytest.mark.parametrize(
    ("own", "its", "usable"),
    [("", "", True), ("a", "", True), ("", "a", True), ("a", "a", True), ("a", "b", False)],
)
def test_devices(own: str, its: str, usable: bool) -> None:
    asker = session(client=True, device=own)
    assert available.is_usable(asker, authenticator(TYPES.TOTP, its)) == usable


async def test_a_session_of_a_security_key_goes_on_with_it(people: People) -> None:
    session = await people.session()
    phone, secret = await people.add_totp(session)
    first, key = await people.add_fido(session, "first")
    second, _ = await people.add_fido(session, "second")
    found = await people.authenticators.available(asking(session))
    assert found.main is None
    names = [one.metadata.name for one in found.items]
    assert names == [one.metadata.name for one in (phone, first, second)]

    session = await people.step_up(session, phone, secret)
    assert len((await people.authenticators.available(asking(session))).items) == 3
    session = await people.step_up(session, first, key)
    found = await people.authenticators.available(asking(session))
    assert found.main == people.get(first)
    assert found.items == [people.get(first)]
    await people.cluster.delete(first)
    found = await people.authenticators.available(asking(session))
    assert (found.main, found.items) == (None, [])
