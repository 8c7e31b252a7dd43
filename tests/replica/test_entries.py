from __future__ import annotations

import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf.message import DecodeError

from octelium.replica.entries import (
    ClusterConfigEntry,
    DeviceEntry,
    GroupEntry,
    PolicyEntry,
    SecretEntry,
    ServiceEntry,
    SessionEntry,
    UserEntry,
    VerificationKeyEntry,
)
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.parts import PARTS
from octelium.store.vault import Vault
from tests.replica.samples import secret, session


def test_a_message_is_parsed_when_asked_for_and_then_shared() -> None:
    group = core.Group()
    group.metadata.name = "staff"
    entry = GroupEntry("u", "staff", group.SerializeToString())
    assert entry._message is None
    assert entry.message == group
    assert entry.message is entry.message
    assert entry.json is entry.json
    assert entry.json["metadata"] == {"name": "staff"}


def test_whoever_needs_it_once_does_not_keep_it() -> None:
    group = core.Group()
    group.metadata.name = "staff"
    entry = GroupEntry("u", "staff", group.SerializeToString())
    assert entry.parsed() == group
    assert entry.json["metadata"] == {"name": "staff"}
    assert entry._message is None
    assert entry.message is entry.parsed()


def test_whether_it_has_policies_is_known_without_the_message() -> None:
    plain, own = core.Session(), core.Session()
    own.spec.authorization.policies.append("p")
    own.metadata.resource_version = "7"
    entries = [SessionEntry("u", "s", each.SerializeToString()) for each in (plain, own)]
    assert [each.has_authorization for each in entries] == [False, True]
    assert [each.resource_version for each in entries] == ["", "7"]
    assert all(each._message is None for each in entries)
    assert not PolicyEntry("u", "p", core.Policy().SerializeToString()).has_authorization


def test_versions_are_unique_and_grow() -> None:
    versions = [GroupEntry("u", "n", b"").version for _ in range(3)]
    assert versions == sorted(set(versions))


def test_bytes_that_are_no_resource_are_refused() -> None:
    with pytest.raises(DecodeError):
        GroupEntry("u", "n", b"\xff\xff")


def test_a_session_has_everything_that_requests_check() -> None:
    message = core.Session()
    message.spec.state = core.SessionSpecState__.ACTIVE
    message.spec.expires_at.FromMilliseconds(1_700_000_000_500)
    message.status.type = core.SessionStatusType__.CLIENTLESS
    message.status.user_ref.uid = "user"
    message.status.device_ref.uid = "device"
    message.status.is_locked = True
    message.status.authenticator_action = 2  # type: ignore[assignment]  # REGISTRATION_REQUIRED
    message.status.scopes.add().api.all.SetInParent()
    authentication = message.status.authentication
    authentication.token_id = "9a0f5f0e-6f0e-4f57-a1b5-6b7c0f0e7a11"
    authentication.set_at.FromSeconds(1_700_000_000)
    authentication.access_token_duration.hours = 4
    authentication.info.downstream.ip_address = "192.0.2.1"
    entry = SessionEntry("u", "n", message.SerializeToString())
    assert entry.is_active
    assert entry.state == core.SessionSpecState__.ACTIVE
    assert entry.expires_at == 1_700_000_000.5
    assert entry.type == core.SessionStatusType__.CLIENTLESS
    assert (entry.user_uid, entry.device_uid) == ("user", "device")
    assert entry.is_locked
    assert entry.authenticator_action == 2
    assert len(entry.scopes) == 1
    assert entry.token_id == authentication.token_id
    assert entry.access_expires_at == 1_700_000_000 + 4 * 3600
    assert entry.client_address == "192.0.2.1"


def test_a_session_without_instants_has_expired_long_ago() -> None:
    entry = SessionEntry("u", "n", b"")
    assert entry.expires_at == 0
    assert entry.access_expires_at == 0
    assert not entry.is_active
    assert entry.token_id == ""


@pytest.mark.parametrize("state", [0, 2, 3, 77])
def test_only_one_state_of_a_session_or_device_is_active(state: int) -> None:
    message = core.Session()
    message.spec.state = state  # type: ignore[assignment]  # any number may be stored
    assert not SessionEntry("u", "n", message.SerializeToString()).is_active
    device = core.Device()
    device.spec.state = state  # type: ignore[assignment]  # any number may be stored
    assert not DeviceEntry("u", "n", device.SerializeToString()).is_active


def test_conditions_see_a_session_with_its_past() -> None:
    message = session("root-x", authentications=2)
    plain = PARTS["Session"].take(message)
    assert plain is not None
    past = PARTS["Session"].encode(Vault([b"k" * 32]), "u", plain)
    entry = SessionEntry("u", "root-x", message.SerializeToString(), past)
    assert not entry.message.status.last_authentications
    assert [one["tokenID"] for one in entry.json["status"]["lastAuthentications"]] == [
        "former-0",
        "former-1",
    ]
    assert SessionEntry("u", "root-x", message.SerializeToString()).json["status"] == {}


def test_a_service_has_what_routing_and_decisions_read() -> None:
    message = core.Service()
    message.spec.mode = core.ServiceSpecMode__.GRPC
    message.spec.is_public = True
    message.spec.is_anonymous = True
    message.spec.authorization.enable_anonymous = True
    message.status.managed_service.type = "apiserver"
    message.status.namespace_ref.uid = "ns"
    message.status.namespace_ref.name = "octelium-api"
    entry = ServiceEntry("u", "default.octelium-api", message.SerializeToString())
    assert entry.mode == core.ServiceSpecMode__.GRPC
    assert entry.is_public
    assert entry.is_anonymous
    assert entry.enable_anonymous
    assert not entry.is_disabled
    assert not entry.is_tls
    assert entry.managed_type == "apiserver"
    assert (entry.namespace_uid, entry.namespace_name) == ("ns", "octelium-api")


def test_a_user_has_its_groups_in_order() -> None:
    message = core.User()
    message.spec.groups.extend(["b", "a"])
    message.spec.type = core.UserSpecType__.WORKLOAD
    message.spec.is_disabled = True
    message.status.is_locked = True
    entry = UserEntry("u", "n", message.SerializeToString())
    assert entry.groups == ("b", "a")
    assert entry.type == core.UserSpecType__.WORKLOAD
    assert entry.is_disabled
    assert entry.is_locked


def test_a_policy_knows_its_ancestors() -> None:
    assert PolicyEntry("u", "c.b.a", b"").lineage == ("c.b.a", "b.a", "a")
    assert PolicyEntry("u", "a", b"").lineage == ("a",)


def test_the_cluster_configuration_has_what_ingress_reads() -> None:
    message = core.ClusterConfig()
    message.status.domain = "example.com"
    message.spec.ingress.use_forwarded_for_header = True
    message.spec.ingress.xff_num_trusted_hops = 2
    entry = ClusterConfigEntry("u", "default", message.SerializeToString())
    assert (entry.domain, entry.use_forwarded_for_header) == ("example.com", True)
    assert entry.xff_num_trusted_hops == 2


def test_a_secret_is_its_raw_bytes_in_either_form_and_not_told() -> None:
    text = SecretEntry("u", "key", secret("key", "hunter2é").SerializeToString())
    assert text.value == "hunter2é".encode()
    message = core.Secret(data=core.SecretData(value_bytes=b"\xff"))
    message.spec.data.value = "chain"
    binary = SecretEntry("u", "key", message.SerializeToString())
    assert (binary.value, binary.chain) == (b"\xff", b"chain")
    assert "hunter2" not in repr(text)
    assert SecretEntry("u", "key", b"").value == b""


UID = "9a0f5f0e-6f0e-4f57-a1b5-6b7c0f0e7a11"


def test_a_verification_key_is_named_by_the_bytes_of_its_uid() -> None:
    for key in (Ed25519PrivateKey.generate(), generate_private_key(SECP256R1())):
        data = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        entry = VerificationKeyEntry(UID, "n", data)
        assert entry.key_id == uuid.UUID(UID).bytes
        assert entry.public_key == key.public_key()


def test_other_keys_are_refused() -> None:
    key = X25519PrivateKey.generate().public_key()
    data = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for bad in (data, b"", b"junk"):
        with pytest.raises(ValueError):
            VerificationKeyEntry(UID, "n", bad)


@pytest.mark.parametrize(
    ("system", "hidden", "label", "expected"),
    [
        (False, False, "", (False, False)),
        (False, False, "true", (False, False)),
        (True, False, "", (True, False)),
        (False, True, "", (True, False)),
        (True, True, "true", (True, True)),
        (True, True, "false", (True, False)),
    ],
)
def test_whose_a_secret_is(
    *, system: bool, hidden: bool, label: str, expected: tuple[bool, bool]
) -> None:
    message = secret("crt-ns-default")
    message.metadata.is_system, message.metadata.is_system_hidden = system, hidden
    if label:
        message.metadata.system_labels["octelium-cert"] = label
    entry = SecretEntry("u", "crt-ns-default", message.SerializeToString())
    assert (entry.is_system, entry.is_certificate) == expected
