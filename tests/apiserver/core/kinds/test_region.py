from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.harness import codes

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


async def test_reading(api: Harness) -> None:
    region = await api.core("GetRegion", meta.GetOptions(name="default"))
    assert [item.metadata.uid for item in (await api.core("ListRegion")).items] == [
        region.metadata.uid
    ]
    both = meta.GetOptions(name="default", uid=region.metadata.uid)
    assert codes(await api.refused("GetRegion", both))[0] == "INVALID_ARGUMENT"


async def test_a_hidden_one_is_out_of_reach(api: Harness) -> None:
    hidden = core.Region()
    hidden.metadata.name = "inner"
    hidden.metadata.is_system_hidden = True
    await api.store(hidden)
    options = meta.GetOptions(name="inner")
    assert codes(await api.refused("GetRegion", options))[0] == "PERMISSION_DENIED"
    assert len((await api.core("ListRegion")).items) == 1
