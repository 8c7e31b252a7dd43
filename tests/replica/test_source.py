from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from octelium.replica.errors import FeedError
from octelium.replica.replica import Replica
from octelium.replica.source import ROLES, Source
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.vault import Vault
from tests.replica.samples import named, put, secret, service, session, signing_secret

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from octelium.schema.pb import feed_v1_pb2 as feed
    from octelium.store.resources import Resources


class Reader:
    """A replica that follows a source, and every byte that ever went to it."""

    def __init__(self, resources: Resources) -> None:
        self.replica = Replica()
        self.wire = b""
        self.source = Source(resources, "data-plane")
        for piece in self.source.snapshot(b"instance"):
            self._take(piece)
        resources.subscribe(lambda committed: self._take(self.source.commit(committed)))

    def _take(self, commit: feed.Commit) -> None:
        self.wire += commit.SerializeToString()
        self.replica.apply(commit)


def held(replica: Replica) -> dict[str, bytes]:
    return {name: entry.value for name, entry in replica.secrets_by_name.items()}


async def update(resources: Resources, message: Message) -> None:
    async with resources.transaction() as tx:
        tx.update(message)


async def test_an_unknown_role_is_refused(resources: Resources) -> None:
    with pytest.raises(FeedError, match="unknown role 'admin'"):
        Source(resources, "admin")


def test_a_role_sees_kinds_that_exist() -> None:
    assert set().union(*ROLES.values()) <= set(KINDS)
    assert not ROLES["data-plane"] & {"Secret", "Config", "Credential", "IdentityProvider"}


async def test_the_data_plane_sees_no_other_kinds(resources: Resources) -> None:
    reader = Reader(resources)
    messages = []
    for kind in KINDS.values():
        message = kind.message(metadata=named("some-name"))
        if kind.has_data:
            message.data.value = "confidential"
        messages.append(message)
    await put(resources, *messages)
    later = Reader(resources)
    kinds = {
        *(
            "clusterconfig",
            "containerstate",
            "device",
            "group",
            "namespace",
            "policy",
            "region",
            "service",
        ),
        *("session", "user"),
    }
    for one in (reader, later):
        assert b"confidential" not in one.wire
        assert b"IdentityProvider" not in one.wire
        assert b"Credential" not in one.wire
        assert one.replica.cluster_config is not None
        assert set(one.replica.generations) - {"Secret", "VerificationKey", "PolicyTrigger"} == {
            entry.name for entry in KINDS.values() if entry.name.lower() in kinds
        }


async def test_a_secret_is_shown_when_a_service_names_it_and_only_then(
    resources: Resources,
) -> None:
    await put(resources, secret("named", "one"), secret("other", "two"))
    reader = Reader(resources)
    assert held(reader.replica) == {}
    await put(resources, service("wiki.default", "named", "missing"))
    assert held(reader.replica) == {"named": b"one"}
    assert b"two" not in reader.wire
    rotated = resources.get(core.Secret, name="named")
    rotated.data.value = "three"
    await update(resources, rotated)
    assert held(reader.replica) == {"named": b"three"}
    await put(resources, secret("missing", "four"))
    assert held(reader.replica) == {"named": b"three", "missing": b"four"}
    changed = resources.get(core.Service, name="wiki.default")
    changed.spec.CopyFrom(service("wiki.default", "missing").spec)
    await update(resources, changed)
    assert held(reader.replica) == {"missing": b"four"}
    async with resources.transaction() as tx:
        tx.delete("Service", changed.metadata.uid)
    assert held(reader.replica) == {}
    assert held(Reader(resources).replica) == {}


async def test_a_secret_stays_as_long_as_any_service_names_it(resources: Resources) -> None:
    await put(resources, secret("shared", "one"))
    uids = await put(
        resources, service("aa.default", "shared"), service("bb.default", "shared", "shared")
    )
    reader = Reader(resources)
    async with resources.transaction() as tx:
        tx.delete("Service", uids[0])
    assert held(reader.replica) == {"shared": b"one"}
    async with resources.transaction() as tx:
        tx.delete("Service", uids[1])
    assert held(reader.replica) == {}


async def test_a_deleted_secret_goes_and_one_of_its_name_comes(resources: Resources) -> None:
    [uid, _] = await put(resources, secret("key", "old"), service("wiki.default", "key"))
    reader = Reader(resources)
    async with resources.transaction() as tx:
        tx.delete("Secret", uid)
        tx.create(secret("key", "new"))
    assert held(reader.replica) == {"key": b"new"}
    async with resources.transaction() as tx:
        tx.delete("Secret", tx.get(core.Secret, name="key").metadata.uid)
    assert held(reader.replica) == {}


async def test_certificates_are_shown_with_their_keys(resources: Resources) -> None:
    certificate = secret("crt-ns-default", "private key")
    certificate.spec.data.value = "chain"
    certificate.metadata.is_system = certificate.metadata.is_system_hidden = True
    certificate.metadata.system_labels["octelium-cert"] = "true"
    reader = Reader(resources)
    await put(resources, certificate)
    for replica in (reader.replica, Reader(resources).replica):
        assert replica.secrets_by_name["crt-ns-default"].chain == b"chain"
        assert replica.secrets_by_name["crt-ns-default"].value == b"private key"
        assert replica.secrets_by_name["crt-ns-default"].is_certificate


async def test_a_name_makes_no_certificate(resources: Resources) -> None:
    """Only what the Cluster marked as one is shown unasked; a caller's Secret never is."""
    unmarked = secret("crt-ns-default", "private key")
    unmarked.metadata.is_system = unmarked.metadata.is_system_hidden = True
    foreign = secret("crt-ns-zz", "chosen by a caller")
    foreign.metadata.system_labels["octelium-cert"] = "true"
    reader = Reader(resources)
    await put(resources, unmarked, foreign, service("wiki.default", "crt-ns-default"))
    for one in (reader, Reader(resources)):
        assert held(one.replica) == {}
        assert b"private key" not in one.wire


async def test_a_service_cannot_have_a_secret_of_the_system(resources: Resources) -> None:
    hidden = secret("sys:aes256-key-abcdefgh", "confidential")
    hidden.metadata.is_system_hidden = True
    reader = Reader(resources)
    await put(resources, hidden, service("wiki.default", "sys:aes256-key-abcdefgh"))
    for one in (reader, Reader(resources)):
        assert held(one.replica) == {}
        assert b"confidential" not in one.wire


async def test_of_a_signing_key_only_the_public_half_is_shown(resources: Resources) -> None:
    message, key = signing_secret()
    reader = Reader(resources)
    [uid] = await put(resources, message)
    for one in (reader, Reader(resources)):
        assert one.replica.verification_keys == {uuid.UUID(uid).bytes: key.public_key()}
        assert b"PRIVATE KEY" not in one.wire
        assert key.private_bytes_raw() not in one.wire
    marked = resources.get(core.Secret, uid=uid)
    marked.metadata.system_labels["key-rotated"] = "true"
    await update(resources, marked)
    assert len(reader.replica.verification_keys) == 1
    async with resources.transaction() as tx:
        tx.delete("Secret", uid)
    assert reader.replica.verification_keys == {}


async def test_a_signing_key_that_cannot_be_read_is_missing_and_logged(
    resources: Resources, caplog: pytest.LogCaptureFixture
) -> None:
    broken, _ = signing_secret()
    broken.data.value_bytes = b"no key"
    good, key = signing_secret("sys:root-secret-goodgood")
    reader = Reader(resources)
    await put(resources, broken, good)
    assert list(reader.replica.verification_keys.values()) == [key.public_key()]
    assert "sys:root-secret-abcdefgh cannot be read" in caplog.text
    data = load_der_public_key(
        reader.replica._keys[resources.get("Secret", name=good.metadata.name).metadata.uid].data
    )
    assert data == key.public_key()


async def test_a_secret_that_does_not_open_is_withheld_and_logged(
    resources: Resources, caplog: pytest.LogCaptureFixture
) -> None:
    await put(
        resources, secret("key", "x"), secret("fine", "y"), service("wiki.default", "key", "fine")
    )
    reader = Reader(resources)
    assert held(reader.replica) == {"key": b"x", "fine": b"y"}
    [item] = [one for one in resources.items("Secret") if one.name == "key"]
    item.part = Vault([b"z" * 32]).seal("Secret.data", item.uid, b"x")
    again = Reader(resources)
    assert held(again.replica) == {"fine": b"y"}
    assert "Secret key is withheld" in caplog.text


async def test_the_past_of_a_session_comes_along_once(resources: Resources) -> None:
    reader = Reader(resources)
    await put(resources, session("root-x", authentications=50))
    [entry] = reader.replica.sessions.values()
    assert len(entry.json["status"]["lastAuthentications"]) == 50
    sent = len(reader.wire)
    message = resources.get(core.Session, name="root-x")
    message.status.is_locked = True
    await update(resources, message)
    [entry] = reader.replica.sessions.values()
    assert entry.is_locked
    assert len(entry.json["status"]["lastAuthentications"]) == 50
    assert len(reader.wire) - sent < 400
    async with resources.transaction() as tx:
        tx.delete("Session", entry.uid)
    assert not reader.replica.sessions
    assert not reader.replica._past


async def test_a_commit_of_no_interest_is_an_empty_one(resources: Resources) -> None:
    reader = Reader(resources)
    await put(resources, core.Credential(metadata=named("cred")))
    assert reader.replica.revision == resources.revision == 1


async def test_a_snapshot_comes_in_pieces_as_of_one_revision(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octelium.replica.source._PIECE", 200)
    await put(resources, *(core.Group(metadata=named(f"group-{n}")) for n in range(20)))
    pieces = Source(resources, "data-plane").snapshot(b"instance")
    first = next(pieces)
    await put(resources, core.Group(metadata=named("later")))
    rest = list(pieces)
    assert first.snapshot_begin
    assert first.instance == b"instance"
    assert len(rest) > 3
    assert [piece.snapshot_end for piece in rest] == [False] * (len(rest) - 1) + [True]
    assert {piece.revision for piece in rest} == {1}
    names = [one.name for piece in [first, *rest] for one in piece.changes]
    assert names == [f"group-{n}" for n in range(20)]
