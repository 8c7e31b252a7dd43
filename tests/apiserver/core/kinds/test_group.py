from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.harness import codes, resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


async def test_one_with_members_stays(api: Harness) -> None:
    await api.core("CreateGroup", resource("Group", "ops"))
    alice = resource("User", "alice", spec={"type": "HUMAN", "groups": ["ops"]})
    await api.core("CreateUser", alice)
    error = await api.refused("DeleteGroup", meta.DeleteOptions(name="ops"))
    assert codes(error)[0] == "INVALID_ARGUMENT"
    assert "alice" in codes(error)[1]
    del alice.spec.groups[:]
    await api.core("UpdateUser", alice)
    await api.core("DeleteGroup", meta.DeleteOptions(name="ops"))
    error = await api.refused("GetGroup", meta.GetOptions(name="ops"))
    assert codes(error)[0] == "NOT_FOUND"
