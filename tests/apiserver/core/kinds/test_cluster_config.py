from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.pb import core_v1_pb2 as core
from tests.apiserver.harness import codes, resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


async def test_the_spec_is_replaced_and_the_status_stays(api: Harness) -> None:
    got = await api.core("GetClusterConfig")
    assert got.status.domain == "example.com"
    spec = {"session": {"human": {"clientlessDuration": {"hours": 10}}}}
    given = resource("ClusterConfig", spec=spec, metadata={"displayName": "Home"})
    given.status.domain = "forged.example"
    updated = await api.core("UpdateClusterConfig", given)
    assert updated.metadata.uid == got.metadata.uid
    assert (updated.metadata.name, updated.metadata.display_name) == ("default", "Home")
    assert updated.status == got.status
    assert updated.spec.session.human.clientless_duration.hours == 10
    updated = await api.core("UpdateClusterConfig", resource("ClusterConfig", "ignored-name"))
    assert not updated.spec.HasField("session")


async def test_metadata_must_be_there(api: Harness) -> None:
    given = core.ClusterConfig(spec=core.ClusterConfigSpec())
    error = await api.refused("UpdateClusterConfig", given)
    assert codes(error)[0] == "INVALID_ARGUMENT"
    assert codes(error)[1].startswith("metadata:")


async def test_bad_specs_are_refused(api: Harness) -> None:
    given = resource("ClusterConfig", spec={"authorization": {"policies": ["no-such"]}})
    error = await api.refused("UpdateClusterConfig", given)
    assert codes(error)[0] == "INVALID_ARGUMENT"
    assert "spec.authorization.policies[0]" in codes(error)[1]
