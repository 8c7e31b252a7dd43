from __future__ import annotations

import re
import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from octelium.identity import keys
from octelium.identity.keys import Keyring, SigningKeyError
from octelium.identity.tokens import TokenType
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.memory import NOW, Clock, MemoryStore

DAY = 24 * 60 * 60
SUBJECT = str(uuid.uuid4())


def token(keyring: Keyring) -> str:
    return keyring.signer.issue(TokenType.ACCESS, SUBJECT, str(uuid.uuid4()), NOW + 1000 * DAY)


def rotated(store: MemoryStore) -> list[core.Secret]:
    keys.rotate(store.tx, store.clock())
    return sorted(store.tx.list("Secret"), key=lambda s: s.metadata.created_at.seconds)


def test_a_new_secret_is_the_clusters_own_and_hidden() -> None:
    secret = keys.new_signing_secret()
    assert re.fullmatch(r"sys:root-secret-[a-z0-9]{8}", secret.metadata.name)
    assert secret.metadata.is_system
    assert secret.metadata.is_system_hidden
    assert secret.data.value_bytes.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert keys.is_signing_key(secret)


def test_a_label_alone_makes_no_signing_key() -> None:
    secret = keys.new_signing_secret()
    secret.metadata.is_system = False
    assert not keys.is_signing_key(secret)
    secret = keys.new_signing_secret()
    secret.metadata.system_labels.clear()
    secret.metadata.labels[keys.LABEL] = "true"
    assert not keys.is_signing_key(secret)


def test_the_first_rotation_makes_a_key() -> None:
    store = MemoryStore()
    assert keys.rotate(store.tx, NOW)
    assert not keys.rotate(store.tx, NOW)
    assert len(rotated(store)) == 1


def test_a_key_is_replaced_after_thirty_days() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    (first,) = rotated(store)
    clock.now += 30 * DAY - 1
    assert len(rotated(store)) == 1
    clock.now += 1
    old, new = rotated(store)
    assert old.metadata.uid == first.metadata.uid
    assert old.metadata.system_labels[keys.ROTATED] == "true"
    assert keys.ROTATED not in new.metadata.system_labels
    assert keys.load([old, new]).signer.key_uid == new.metadata.uid
    assert len(rotated(store)) == 2


def test_old_tokens_verify_until_their_key_is_deleted() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    keyring = Keyring(clock=clock)
    keyring.replace(rotated(store))
    old = token(keyring)
    while clock.now < NOW + 360 * DAY - 30 * DAY:
        clock.now += 30 * DAY
        keyring.replace(rotated(store))
        assert keyring.verifier.verify(old, TokenType.ACCESS)
    clock.now = NOW + 360 * DAY
    present = rotated(store)
    keyring.replace(present)
    assert keyring.verifier.verify(old, TokenType.ACCESS) is None
    assert keyring.verifier.verify(token(keyring), TokenType.ACCESS)
    assert all(secret.metadata.created_at.seconds > NOW for secret in present)


def test_the_newest_key_is_never_deleted() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    (first,) = rotated(store)
    clock.now += 5000 * DAY
    uids = [secret.metadata.uid for secret in rotated(store)]
    assert len(uids) == 2
    assert first.metadata.uid in uids


def test_other_secrets_are_left_alone() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    other = core.Secret(api_version="core/v1", kind="Secret")
    other.metadata.name = "sys:ssh-ca"
    other.data.value = "x"
    store.tx.create(other)
    rotated(store)
    clock.now += 5000 * DAY
    keys.rotate(store.tx, clock.now)
    assert store.tx.find("Secret", name="sys:ssh-ca") is not None
    assert len(keys.load(store.tx.list("Secret")).public) == 2


def secret_with(pem: bytes) -> core.Secret:
    secret = keys.new_signing_secret()
    secret.metadata.uid = str(uuid.uuid4())
    secret.data.value_bytes = pem
    return secret


def pem_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"nonsense",
        pem_of(ec.generate_private_key(ec.SECP384R1())),
        pem_of(rsa.generate_private_key(65537, 2048)),
    ],
)
def test_a_key_that_cannot_be_used_stops_everything(pem: bytes) -> None:
    good = secret_with(keys.new_signing_secret().data.value_bytes)
    keyring = Keyring(clock=Clock())
    keyring.replace([good])
    issued = token(keyring)
    assert keyring.verifier.verify(issued, TokenType.ACCESS)
    with pytest.raises(SigningKeyError) as caught:
        keyring.replace([good, secret_with(pem)])
    assert "sys:root-secret-" in str(caught.value)
    assert "nonsense" not in str(caught.value)
    assert "BEGIN" not in str(caught.value)
    assert keyring.verifier.verify(issued, TokenType.ACCESS) is None
    with pytest.raises(SigningKeyError):
        token(keyring)


def test_p256_keys_verify_but_do_not_sign() -> None:
    good = secret_with(keys.new_signing_secret().data.value_bytes)
    other = secret_with(pem_of(ec.generate_private_key(ec.SECP256R1())))
    other.metadata.created_at.seconds = good.metadata.created_at.seconds + 1
    loaded = keys.load([good, other])
    assert len(loaded.public) == 2
    assert loaded.signer.key_uid == good.metadata.uid
    with pytest.raises(SigningKeyError):
        keys.load([other])


def test_text_secrets_count_too() -> None:
    secret = secret_with(b"")
    secret.data.value = keys.new_signing_secret().data.value_bytes.decode()
    assert keys.load([secret]).signer.key_uid == secret.metadata.uid


def test_an_empty_ring_refuses() -> None:
    keyring = Keyring(clock=Clock())
    with pytest.raises(SigningKeyError):
        token(keyring)
    with pytest.raises(SigningKeyError):
        keyring.replace([])
    assert keyring.verifier.verify("A" * 178, TokenType.ACCESS) is None
