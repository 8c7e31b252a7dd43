from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.harness import codes, resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


async def test_data_stays_inside(api: Harness) -> None:
    made = await api.core("CreateConfig", resource("Config", "geo", data={"value": "v1"}))
    assert not made.HasField("data")
    updated = await api.core("UpdateConfig", resource("Config", "geo", data={"attrs": {"a": 1}}))
    assert not updated.HasField("data")
    got = await api.core("GetConfig", meta.GetOptions(name="geo"))
    assert not got.HasField("data")
    listed = await api.core("ListConfig")
    assert [item.HasField("data") for item in listed.items] == [False]
    assert api.resources.get(core.Config, name="geo").data.attrs["a"] == 1
    await api.core("DeleteConfig", meta.DeleteOptions(name="geo"))


async def test_data_is_needed(api: Harness) -> None:
    error = await api.refused("CreateConfig", resource("Config", "geo"))
    assert codes(error)[0] == "INVALID_ARGUMENT"


async def test_the_clusters_own_are_out_of_reach(api: Harness) -> None:
    own = core.Config()
    own.metadata.name = "sys:conn-info"
    own.metadata.is_system = own.metadata.is_system_hidden = True
    own.data.attrs.update({"a": 1})
    await api.store(own)
    options = meta.GetOptions(name="sys:conn-info")
    assert codes(await api.refused("GetConfig", options))[0] == "PERMISSION_DENIED"
