from __future__ import annotations

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import invitation_v1_pb2 as invitation
from octelium.store.indexes import index_values
from tests.store.samples import group, named, session


def test_labels_of_both_sorts_are_indexed() -> None:
    message = group("staff")
    message.metadata.spec_labels["email"] = "a-b"
    message.metadata.system_labels["octelium-cert"] = "true"
    message.metadata.labels["team"] = "ops"
    assert set(index_values("Group", message)) == {
        ("specLabels.email", "a-b"),
        ("systemLabels.octelium-cert", "true"),
    }


def test_references_of_the_status_are_indexed_by_uid() -> None:
    message = session("root-x", user="u1")
    message.status.device_ref.uid = "d1"
    message.status.credential_ref.SetInParent()
    assert set(index_values("Session", message)) == {
        ("status.userRef", "u1"),
        ("status.deviceRef", "d1"),
    }


def test_single_kinds_have_indexes_of_their_own() -> None:
    credential = core.Credential(metadata=named("c"))
    credential.status.id = "abcd-ef12"
    assert ("status.id", "abcd-ef12") in set(index_values("Credential", credential))
    invited = invitation.Invitation(status=invitation.InvitationStatus(token_hash=b"\x01\xff"))
    assert set(index_values("Invitation", invited)) == {("status.tokenHash", "01ff")}
    user = core.User(metadata=named("u"))
    user.spec.groups.extend(["staff", "ops"])
    assert set(index_values("User", user)) == {("spec.groups", "staff"), ("spec.groups", "ops")}


def test_an_empty_resource_is_in_no_index() -> None:
    assert list(index_values("Credential", core.Credential())) == []
