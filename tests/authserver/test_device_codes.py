from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.authserver.device_codes import (
    DeviceCodes,
    DeviceLogin,
    PollError,
    Verdict,
    normal_code,
)
from octelium.identity.sessions import Downstream
from tests.identity.cluster import Clock


def begin(codes: DeviceCodes, address: str = "192.0.2.1") -> DeviceLogin:
    return codes.begin("cli", None, Downstream("octelium-cli/1", address))


def refused(codes: DeviceCodes, device_code: str, client_id: str = "cli") -> str:
    with pytest.raises(PollError) as caught:
        codes.poll(device_code, client_id)
    return str(caught.value)


def test_codes() -> None:
    codes = DeviceCodes(Clock(0))
    made = [begin(codes, str(number)) for number in range(500)]
    assert len({login.device_code for login in made}) == 500
    assert len({login.user_code for login in made}) == 500
    for login in made:
        assert normal_code(login.shown_code) == login.user_code
        assert not set(login.user_code) & set("AEIOUY01")
        assert len(login.device_code) >= 43


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("BCDF-GHJK", "BCDFGHJK"),
        ("bcdf ghjk", "BCDFGHJK"),
        (" b c-d f g-h j k ", "BCDFGHJK"),
        ("BCDFGHJ", ""),
        ("BCDFGHJKL", ""),
        ("ABCDFGHJ", ""),
        ("BCDFGHJ1", ""),
        ("BCDFGHJ\u212a", ""),
        ("", ""),
    ],
)
def test_what_people_type(text: str, code: str) -> None:
    assert normal_code(text) == code


@given(st.text(max_size=60))
def test_anything_typed_is_a_code_or_none(text: str) -> None:
    code = normal_code(text)
    assert code == "" or (len(code) == 8 and code.isascii() and code.isalpha())


def test_who_asks_at_the_pace_that_it_was_told() -> None:
    clock = Clock(0)
    codes = DeviceCodes(clock)
    login = begin(codes)
    for _ in range(3):
        clock.now += 5
        assert refused(codes, login.device_code) == "authorization_pending"


def test_who_asks_too_often_must_slow_down() -> None:
    clock = Clock(0)
    codes = DeviceCodes(clock)
    login = begin(codes)
    assert refused(codes, login.device_code) == "slow_down"  # now every ten seconds
    clock.now += 5
    assert refused(codes, login.device_code) == "slow_down"  # every fifteen
    clock.now += 15
    assert refused(codes, login.device_code) == "authorization_pending"


def test_approved_and_taken_once() -> None:
    codes = DeviceCodes(Clock(0))
    login = begin(codes)
    found = codes.of_user_code(login.user_code, "session")
    assert found is login
    codes.decide(login, Verdict.APPROVED, "session")
    assert codes.of_user_code(login.user_code, "session") is None
    assert refused(codes, login.device_code, "other") == "invalid_grant"
    assert codes.poll(login.device_code, "cli").session_uid == "session"
    assert refused(codes, login.device_code) == "expired_token"


def test_denied() -> None:
    codes = DeviceCodes(Clock(0))
    login = begin(codes)
    codes.decide(login, Verdict.DENIED, "session")
    assert refused(codes, login.device_code) == "access_denied"
    assert refused(codes, login.device_code) == "expired_token"


def test_too_late() -> None:
    clock = Clock(0)
    codes = DeviceCodes(clock)
    login = begin(codes)
    clock.now = 600
    assert codes.of_user_code(login.user_code, "session") is None
    assert refused(codes, login.device_code) == "expired_token"
    assert refused(codes, "") == "expired_token"


def test_guesses_are_counted() -> None:
    clock = Clock(0)
    codes = DeviceCodes(clock)
    login = begin(codes)
    for _ in range(9):
        assert codes.of_user_code("BCDFGHJK", "guesser") is None
    assert codes.of_user_code(login.user_code, "guesser") is login
    assert codes.of_user_code("BCDFGHJK", "guesser") is None
    assert codes.of_user_code(login.user_code, "guesser") is None
    assert codes.of_user_code(login.user_code, "another") is login
    clock.now = 599
    assert codes.of_user_code(login.user_code, "guesser") is None
    clock.now = 601
    fresh = begin(codes)
    assert codes.of_user_code(fresh.user_code, "guesser") is fresh


def test_a_flood_from_one_address_leaves_others_alone() -> None:
    codes = DeviceCodes(Clock(0))
    mine = begin(codes)
    for _ in range(100):
        begin(codes, "198.51.100.1")
    assert codes.of_user_code(mine.user_code, "session") is mine


def test_many_callers_throw_out_their_own() -> None:
    codes = DeviceCodes(Clock(0))
    mine = begin(codes, "192.0.2.1")
    for number in range(132 * 32):
        begin(codes, f"198.51.100.{number // 32}")
    assert refused(codes, mine.device_code) == "slow_down"
    assert codes.of_user_code(mine.user_code, "somebody") is mine


def test_the_network_of_a_subscriber_is_one_caller() -> None:
    codes = DeviceCodes(Clock(0))
    first = begin(codes, "2001:db8::1")
    for number in range(32):
        begin(codes, f"2001:db8::2:{number:x}")
    assert refused(codes, first.device_code) == "expired_token"
