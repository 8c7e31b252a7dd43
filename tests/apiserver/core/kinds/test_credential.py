from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.harness import codes, resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


def credential(**spec: Any) -> core.Credential:
    made: core.Credential = resource(
        "Credential", "cred", spec={"type": "AUTH_TOKEN", "user": "root", **spec}
    )
    return made


async def test_a_new_one_has_an_id_and_no_token(api: Harness) -> None:
    given = credential()
    given.status.token_id = "mine"
    given.status.id = "mine"
    made = await api.core("CreateCredential", given)
    assert made.status.user_ref.uid == api.root.metadata.uid
    assert made.status.token_id == ""
    assert len(made.status.id) == 9
    updated = await api.core("UpdateCredential", credential(isDisabled=True))
    assert updated.spec.is_disabled
    assert updated.status.id == made.status.id


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "TYPE_UNKNOWN"},
        {"user": "nobody"},
        {"autoDelete": True},
        {"expiresAt": "2000-01-01T00:00:00Z"},
        {"user": "alice", "type": "OAUTH2"},
    ],
)
async def test_bad_ones_are_refused(api: Harness, spec: dict[str, Any]) -> None:
    await api.core("CreateUser", resource("User", "alice", spec={"type": "HUMAN"}))
    error = await api.refused("CreateCredential", credential(**spec))
    assert codes(error)[0] == "INVALID_ARGUMENT"
    assert "spec." in codes(error)[1]


@pytest.mark.parametrize("change", [{"type": "OAUTH2"}, {"user": "octelium"}])
async def test_neither_type_nor_user_changes(api: Harness, change: dict[str, Any]) -> None:
    await api.core("CreateCredential", credential())
    error = await api.refused("UpdateCredential", credential(**change))
    assert codes(error)[0] == "INVALID_ARGUMENT"


async def test_listing_by_user_and_deleting(api: Harness) -> None:
    made = await api.core("CreateCredential", credential())
    session = api.new_session(api.root, "root-other1")
    session.status.credential_ref.uid = made.metadata.uid
    await api.store(session)
    options = core.ListCredentialOptions(user_ref=meta.ObjectReference(name="root"))
    assert len((await api.core("ListCredential", options)).items) == 1
    await api.core("DeleteCredential", meta.DeleteOptions(name="cred"))
    assert len((await api.core("ListCredential", options)).items) == 0
    assert api.resources.find("Session", name="root-other1") is not None
