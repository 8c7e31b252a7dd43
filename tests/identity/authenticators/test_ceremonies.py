from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.identity.authenticators import ceremonies
from octelium.identity.authenticators.ceremonies import Purpose
from octelium.identity.authenticators.errors import WrongResponseError
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import NOW

TYPES = core.AuthenticatorStatusType__
REGISTRATION, AUTHENTICATION = Purpose.REGISTRATION, Purpose.AUTHENTICATION


def session(uid: str) -> core.Session:
    made = core.Session()
    made.metadata.uid = uid
    return made


def authenticator(kind: Any = TYPES.FIDO) -> core.Authenticator:
    made = core.Authenticator()
    made.status.type = kind
    return made


MINE = session("mine")


def test_a_challenge_is_for_one_session_purpose_and_response() -> None:
    one = authenticator()
    with pytest.raises(WrongResponseError, match="not accepted"):
        ceremonies.pending(one, MINE, AUTHENTICATION, NOW)
    ceremonies.begin(one, MINE, AUTHENTICATION, b"c", NOW)
    assert ceremonies.pending(one, MINE, AUTHENTICATION, NOW) == b"c"
    for asked, purpose, detail in (
        (session("other"), AUTHENTICATION, "another Session"),
        (MINE, REGISTRATION, "not one of registration"),
    ):
        with pytest.raises(WrongResponseError) as caught:
            ceremonies.pending(one, asked, purpose, NOW)
        assert detail in caught.value.detail
    ceremonies.complete(one, NOW)
    with pytest.raises(WrongResponseError) as caught:
        ceremonies.pending(one, MINE, AUTHENTICATION, NOW)
    assert "already" in caught.value.detail


@pytest.mark.parametrize(
    ("kind", "lifetime"), [(TYPES.FIDO, 120), (TYPES.TOTP, 1200)], ids=["FIDO", "TOTP"]
)
@pytest.mark.parametrize("purpose", [REGISTRATION, AUTHENTICATION])
def test_lifetimes(kind: Any, lifetime: int, purpose: Purpose) -> None:
    one = authenticator(kind)
    ceremonies.begin(one, MINE, purpose, b"c", NOW)
    assert ceremonies.pending(one, MINE, purpose, NOW + lifetime - 1) == b"c"
    with pytest.raises(WrongResponseError) as caught:
        ceremonies.pending(one, MINE, purpose, NOW + lifetime)
    assert "too old" in caught.value.detail


@given(st.integers(1, 30))
def test_ten_earlier_ones_are_kept_without_their_challenges(times: int) -> None:
    one = authenticator()
    for number in range(times):
        ceremonies.begin(one, MINE, AUTHENTICATION, bytes([number]), NOW + number)
    status = one.status
    assert status.total_authentication_attempts == times
    assert ceremonies.pending(one, MINE, AUTHENTICATION, NOW + times) == bytes([times - 1])
    earlier = [attempt.created_at.seconds - NOW for attempt in status.last_authentication_attempts]
    assert earlier == list(range(times - 2, max(times - 12, -1), -1))
    assert all(
        b"challenge" not in a.SerializeToString() for a in status.last_authentication_attempts
    )
