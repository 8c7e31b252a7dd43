from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.visibility.attempt import LONGEST, AttemptRecord, decode, encode

FULL = AttemptRecord(
    at=1.5,
    way="identity provider",
    outcome="refused",
    code="PERMISSION_DENIED",
    reason="no",
    user={"name": "ann", "uid": "u"},
    identity_provider={"name": "okta", "uid": "p"},
    identifier="ann",
    email="ann@example.com",
    client_address="192.0.2.1",
    user_agent="Firefox",
    operation="callback",
)


def test_records_come_back_as_they_were() -> None:
    assert decode(encode(FULL)) == FULL
    short = AttemptRecord(at=1.0, way="passkey", outcome="succeeded")
    assert decode(encode(short)) == short
    assert len(encode(short)) < 60


def test_texts_of_unknown_people_are_cut() -> None:
    record = AttemptRecord(
        at=1.0, way="w", outcome="refused", user_agent="x" * 10_000, identifier="ü" * 10_000
    )
    found = decode(encode(record))
    assert len(found.user_agent) == len(found.identifier) == LONGEST


@given(st.text(alphabet=st.characters(), max_size=30))
def test_whatever_somebody_sends_can_be_kept(text: str) -> None:
    record = AttemptRecord(at=1.0, way="w", outcome="refused", identifier=text, reason=text)
    assert decode(encode(record)).identifier.encode() is not None


def test_half_of_a_surrogate_pair_is_replaced() -> None:
    record = AttemptRecord(at=1.0, way="w", outcome="refused", identifier="a\ud800b")
    assert decode(encode(record)).identifier == "a?b"


def test_records_of_later_versions_can_be_read() -> None:
    later = msgspec.msgpack.encode({**msgspec.to_builtins(FULL), "something": [1]})
    assert decode(later) == FULL


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_damaged(data: bytes) -> None:
    try:
        found = decode(data)
    except ValueError as error:
        assert "damaged" in str(error)  # noqa: PT017 - either of two ends is right
    else:
        assert found.way is not None


def test_damage() -> None:
    with pytest.raises(ValueError, match="damaged"):
        decode(encode(FULL)[:-3])
    with pytest.raises(ValueError, match="damaged"):
        decode(encode(FULL).replace(b"okta", b"okt\x80"))  # no UTF-8
