from __future__ import annotations

import zlib

import pytest

from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.errors import StoreUnusable
from octelium.store.parts import OWNERS, PARTS
from tests.store.samples import named, secret, session, vault


def config() -> core.Config:
    return core.Config(metadata=named("files"), data=core.ConfigData(value_bytes=b"\0\1"))


@pytest.mark.parametrize(
    "message",
    [secret("s", "hunter2"), config(), session("root-x", authentications=3)],
    ids=["Secret", "Config", "Session"],
)
def test_a_part_goes_out_and_comes_back(message: core.Secret | core.Config | core.Session) -> None:
    part = PARTS[message.DESCRIPTOR.name]
    whole = type(message).FromString(message.SerializeToString())
    plain = part.take(message)
    assert plain is not None
    assert message != whole
    assert part.take(message) is None
    stored = part.encode(vault(), "u", plain)
    part.give(message, part.decode(vault(), "u", stored))
    assert message == whole


def test_kinds_with_data_and_no_others_keep_it_apart() -> None:
    with_data = {kind.name for kind in KINDS.values() if kind.has_data}
    assert with_data | {"Session"} == set(PARTS)
    assert set(OWNERS.values()) == set(PARTS)
    assert not set(OWNERS) & set(KINDS)


def test_data_that_is_present_but_empty_is_a_part() -> None:
    message = core.Secret(metadata=named("s"))
    message.data.SetInParent()
    plain = PARTS["Secret"].take(message)
    assert plain == b""
    assert not message.HasField("data")
    PARTS["Secret"].give(message, plain)
    assert message.data.WhichOneof("type") is None


def test_the_part_of_a_secret_is_sealed_and_that_of_a_session_small() -> None:
    sealed = PARTS["Secret"].encode(vault(), "u", b"hunter2" * 10)
    assert b"hunter2" not in sealed
    message = session("root-x", authentications=100)
    plain = PARTS["Session"].take(message)
    assert plain is not None
    assert len(PARTS["Session"].encode(vault(), "u", plain)) < len(plain) / 5


def test_a_session_keeps_what_requests_read() -> None:
    message = session("root-x", authentications=2)
    message.status.authentication.token_id = "current"
    message.status.last_connections.add()
    PARTS["Session"].take(message)
    assert message.status.authentication.token_id == "current"
    assert not message.status.last_authentications
    assert not message.status.last_connections


@pytest.mark.parametrize("stored", [b"", b"junk", zlib.compress(b"x" * 99)[:-4]])
def test_a_damaged_part_is_an_error(stored: bytes) -> None:
    with pytest.raises(StoreUnusable):
        PARTS["Session"].decode(vault(), "u", stored)
    with pytest.raises(StoreUnusable):
        PARTS["Secret"].decode(vault(), "u", stored)
