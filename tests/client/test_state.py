from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.client.errors import StateError
from octelium.client.state import FILE, Login, LoginState
from octelium.client.storage import DirectoryStorage, MemoryStorage
from octelium.schema.pb import auth_v1_pb2 as auth
from tests.client.standin import NOW

if TYPE_CHECKING:
    from pathlib import Path

# Written by hand from the file's format: State.domainMap=1 {key=1, value=2}, Domain.sessionToken=1,
# sessionTokenSetAt=2, SessionToken {accessToken=1, refreshToken=2, expiresIn=3,
# refreshTokenExpiresIn=4}, Timestamp {seconds=1}.
_TOKEN = b"\x0a\x01A\x12\x01R\x18\x90\x1c\x20\x80\x38"
_SET_AT = b"\x08\x80\xa8\xd6\xb9\x07"
_DOMAIN = b"\x0a" + bytes([len(_TOKEN)]) + _TOKEN + b"\x12" + bytes([len(_SET_AT)]) + _SET_AT
_ENTRY = b"\x0a\x08lab.test\x12" + bytes([len(_DOMAIN)]) + _DOMAIN
OFFICIAL = b"\x0a" + bytes([len(_ENTRY)]) + _ENTRY


def token(access: str = "A", *, life: int = 3600, refresh_life: int = 7168) -> auth.SessionToken:
    return auth.SessionToken(
        access_token=access,
        refresh_token="R",
        expires_in=life,
        refresh_token_expires_in=refresh_life,
    )


def test_how_long_an_access_token_is_good_by_itself() -> None:
    login = Login(token(life=100), NOW)
    assert login.is_usable(NOW + 99)
    assert not login.is_usable(NOW + 100)
    assert Login(token(life=0), NOW).is_usable(NOW + 1e9)


def test_the_bytes_of_the_official_file(tmp_path: Path) -> None:
    state = LoginState(DirectoryStorage(tmp_path))
    state.put("lab.test", Login(token(), 2000000000.0))
    assert (tmp_path / "octelium.db").read_bytes() == OFFICIAL
    assert (tmp_path / "octelium.db.lock").exists()


def test_a_file_of_an_official_client_is_read(tmp_path: Path) -> None:
    (tmp_path / "octelium.db").write_bytes(OFFICIAL)
    login = LoginState(DirectoryStorage(tmp_path)).get("lab.test")
    assert login == Login(token(), 2000000000.0)


def test_entries_and_fields_of_others_are_kept(tmp_path: Path) -> None:
    unknown = b"\x7a\x03new"  # field 15 of the State of some later version
    (tmp_path / "octelium.db").write_bytes(OFFICIAL + unknown)
    state = LoginState(DirectoryStorage(tmp_path))
    state.put("other.test", Login(token("B"), NOW))
    state.forget("other.test")
    assert (tmp_path / "octelium.db").read_bytes() == OFFICIAL + unknown
    assert state.domains() == ["lab.test"]


def test_forgetting() -> None:
    state = LoginState(MemoryStorage())
    state.put("a.test", Login(token("A"), NOW))
    state.put("b.test", Login(token("B"), NOW))
    state.forget("a.test")
    state.forget("c.test")
    assert state.get("a.test") is None
    assert state.domains() == ["b.test"]


def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff\xff\xff")
    state = LoginState(DirectoryStorage(tmp_path))
    with pytest.raises(StateError, match=r"octelium\.db is damaged"):
        state.put("a.test", Login(token(), NOW))
    assert (tmp_path / FILE).read_bytes() == b"\xff\xff\xff"


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_an_error(content: bytes) -> None:
    storage = MemoryStorage()
    storage.write(FILE, content)
    try:
        LoginState(storage).domains()
    except StateError:
        assert storage.read(FILE) == content


def test_one_process_at_a_time_exchanges_tokens(tmp_path: Path) -> None:
    state = LoginState(DirectoryStorage(tmp_path))
    with state.refreshing():
        state.put("a.test", Login(token(), NOW))  # the file itself stays usable
        assert state.get("a.test") is not None


@pytest.mark.parametrize(
    ("life", "elapsed", "due"),
    [
        (0, 10**9, False),  # never ends
        (599, 0, True),  # refreshed at every call
        (3599, 2998, False),
        (3599, 3000, True),
        (7200, 3599, False),
        (7200, 3601, True),
        (7200, 9000, True),
    ],
)
def test_when_a_refresh_is_due(life: int, elapsed: int, due: bool) -> None:
    assert Login(token(life=life), NOW).refresh_due(NOW + elapsed) is due


def test_a_login_is_good_as_long_as_its_refresh_token() -> None:
    assert Login(token(refresh_life=60), NOW).is_valid(NOW + 59)
    assert not Login(token(refresh_life=60), NOW).is_valid(NOW + 60)
    assert not Login(token(refresh_life=0), NOW).is_valid(NOW)
    assert not Login(auth.SessionToken(refresh_token_expires_in=60), NOW).is_valid(NOW)
