from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.identity.authenticators import sealing
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import lone_transaction


@given(st.binary(max_size=100))
def test_what_is_sealed_opens_again(plain: bytes) -> None:
    tx = lone_transaction()
    sealed = sealing.seal(tx, "uid", plain)
    assert len(plain) < 8 or plain not in sealed.ciphertext
    assert sealing.unseal(tx, "uid", sealed) == plain
    again = sealing.seal(tx, "uid", plain)
    assert again.nonce != sealed.nonce
    assert again.key_secret_ref.uid == sealed.key_secret_ref.uid


def test_only_for_the_authenticator_that_it_was_sealed_for() -> None:
    tx = lone_transaction()
    sealed = sealing.seal(tx, "uid", b"secret")
    with pytest.raises(sealing.SealError, match="altered"):
        sealing.unseal(tx, "other", sealed)


@given(st.data())
def test_altered_data_does_not_open(data: st.DataObject) -> None:
    tx = lone_transaction()
    sealed = sealing.seal(tx, "uid", b"secret")
    field = data.draw(st.sampled_from(["ciphertext", "nonce"]))
    value = bytearray(getattr(sealed, field))
    value[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
    setattr(sealed, field, bytes(value))
    with pytest.raises(sealing.SealError):
        sealing.unseal(tx, "uid", sealed)
    sealed.ClearField("nonce")
    with pytest.raises(sealing.SealError):
        sealing.unseal(tx, "uid", sealed)


def test_the_key_is_hidden_and_must_be_one() -> None:
    tx = lone_transaction()
    sealed = sealing.seal(tx, "uid", b"secret")
    (key,) = tx.list(core.Secret)
    assert key.metadata.is_system_hidden
    assert key.metadata.name.startswith("sys:aes256-key-")

    other = core.Secret()
    other.metadata.name = "mine"
    other.metadata.system_labels[sealing.LABEL] = "true"
    other.data.value_bytes = bytes(32)
    sealed.key_secret_ref.uid = tx.create(other).metadata.uid
    with pytest.raises(sealing.SealError, match="gone"):
        sealing.unseal(tx, "uid", sealed)
    sealed.key_secret_ref.uid = ""
    with pytest.raises(sealing.SealError, match="gone"):
        sealing.unseal(tx, "uid", sealed)
    whole = tx.get(core.Secret, uid=key.metadata.uid)
    whole.data.value_bytes = b"short"
    tx.update(whole)
    with pytest.raises(sealing.SealError, match="32 bytes"):
        sealing.seal(tx, "uid", b"secret")
