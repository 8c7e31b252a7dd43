from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from octelium.identity import keys
from octelium.identity.keys import Keyring, SigningKeyError
from octelium.identity.tokens import TokenType
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import NOW, Clock, lone_transaction, open_cluster

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.store.transaction import Transaction

DAY = 24 * 60 * 60
SUBJECT = str(uuid.uuid4())


def token(keyring: Keyring) -> str:
    return keyring.signer.issue(TokenType.ACCESS, SUBJECT, str(uuid.uuid4()), NOW + 1000 * DAY)


def rotated(tx: Transaction) -> list[core.Secret]:
    """All Secrets, the oldest first, after a rotation at the transaction's time."""
    keys.rotate(tx, tx.at)
    return tx.list(core.Secret, whole=True)


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
    tx = lone_transaction()
    assert keys.rotate(tx, NOW)
    assert not keys.rotate(tx, NOW)
    assert len(rotated(tx)) == 1


def test_a_key_is_replaced_after_thirty_days() -> None:
    tx = lone_transaction()
    (first,) = rotated(tx)
    tx.at += 30 * DAY - 1
    assert len(rotated(tx)) == 1
    tx.at += 1
    old, new = rotated(tx)
    assert old.metadata.uid == first.metadata.uid
    assert old.metadata.system_labels[keys.ROTATED] == "true"
    assert keys.ROTATED not in new.metadata.system_labels
    assert keys.load([old, new]).signer.key_uid == new.metadata.uid
    assert len(rotated(tx)) == 2


def test_old_tokens_verify_until_their_key_is_deleted() -> None:
    clock = Clock()
    tx = lone_transaction()
    keyring = Keyring(clock=clock)
    keyring.replace(rotated(tx))
    old = token(keyring)
    while clock.now < NOW + 360 * DAY - 30 * DAY:
        clock.now = tx.at = clock.now + 30 * DAY
        keyring.replace(rotated(tx))
        assert keyring.verifier.verify(old, TokenType.ACCESS)
    clock.now = tx.at = NOW + 360 * DAY
    present = rotated(tx)
    keyring.replace(present)
    assert keyring.verifier.verify(old, TokenType.ACCESS) is None
    assert keyring.verifier.verify(token(keyring), TokenType.ACCESS)
    assert all(secret.metadata.created_at.seconds > NOW for secret in present)


def test_the_newest_key_is_never_deleted() -> None:
    tx = lone_transaction()
    (first,) = rotated(tx)
    tx.at += 5000 * DAY
    uids = [secret.metadata.uid for secret in rotated(tx)]
    assert len(uids) == 2
    assert first.metadata.uid in uids


def test_other_secrets_are_left_alone() -> None:
    tx = lone_transaction()
    other = core.Secret(api_version="core/v1", kind="Secret")
    other.metadata.name = "sys:ssh-ca"
    other.data.value = "x"
    tx.create(other)
    rotated(tx)
    tx.at += 5000 * DAY
    keys.rotate(tx, tx.at)
    assert tx.find("Secret", name="sys:ssh-ca") is not None
    assert len(keys.load(tx.list(core.Secret, whole=True)).public) == 2


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


async def test_a_ring_follows_the_store(tmp_path: Path) -> None:
    async with open_cluster(tmp_path) as cluster:
        ring = Keyring(clock=cluster.clock)
        stop = ring.follow(cluster.resources)
        old = token(ring)
        cluster.clock.now += 30 * DAY
        assert await cluster.write(lambda tx: keys.rotate(tx, cluster.clock()))
        assert ring.signer.key_uid == cluster.keyring.signer.key_uid
        assert ring.verifier.verify(old, TokenType.ACCESS)
        oldest = min(
            cluster.resources.list(core.Secret), key=lambda s: s.metadata.created_at.seconds
        )
        await cluster.delete(oldest)
        assert ring.verifier.verify(old, TokenType.ACCESS) is None
        assert ring.verifier.verify(token(ring), TokenType.ACCESS)
        stop()
        newest = ring.signer.key_uid
        cluster.clock.now += 30 * DAY
        await cluster.write(lambda tx: keys.rotate(tx, cluster.clock()))
        assert ring.signer.key_uid == newest


async def test_a_ring_that_loses_its_last_key_refuses(tmp_path: Path) -> None:
    async with open_cluster(tmp_path) as cluster:
        issued = token(cluster.keyring)
        (secret,) = cluster.resources.list(core.Secret)
        await cluster.delete(secret)
        assert cluster.keyring.verifier.verify(issued, TokenType.ACCESS) is None
        with pytest.raises(SigningKeyError):
            token(cluster.keyring)


async def test_other_secrets_do_not_reload_a_ring(tmp_path: Path) -> None:
    async with open_cluster(tmp_path) as cluster:
        signer = cluster.keyring.signer
        other = core.Secret()
        other.metadata.name = "api-key"
        other.data.value = "x"
        await cluster.write(lambda tx: tx.create(other))
        assert cluster.keyring.signer is signer
