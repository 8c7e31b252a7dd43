from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.harness import codes, resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness

RULES = {"rules": [{"effect": "ALLOW", "condition": {"matchAny": True}}]}


async def test_a_child_needs_its_parent_and_keeps_it(api: Harness) -> None:
    child = resource("Policy", "eu.staff", spec=RULES)
    assert codes(await api.refused("CreatePolicy", child))[0] == "INVALID_ARGUMENT"
    parent = await api.core("CreatePolicy", resource("Policy", "staff", spec=RULES))
    made = await api.core("CreatePolicy", child)
    assert made.status.parent_policy_ref.uid == parent.metadata.uid
    error = await api.refused("DeletePolicy", meta.DeleteOptions(name="staff"))
    assert codes(error)[0] == "INVALID_ARGUMENT"
    assert "eu.staff" in codes(error)[1]
    await api.core("DeletePolicy", meta.DeleteOptions(name="eu.staff"))
    await api.core("DeletePolicy", meta.DeleteOptions(name="staff"))


async def test_an_attached_one_may_go(api: Harness) -> None:
    await api.core("CreatePolicy", resource("Policy", "staff", spec=RULES))
    group = resource("Group", "ops", spec={"authorization": {"policies": ["staff"]}})
    await api.core("CreateGroup", group)
    await api.core("DeletePolicy", meta.DeleteOptions(name="staff"))
    error = await api.refused("UpdateGroup", group)
    assert codes(error)[0] == "INVALID_ARGUMENT"
    assert "staff" in codes(error)[1]
