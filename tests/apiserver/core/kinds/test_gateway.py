from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.metadata import reference
from tests.apiserver.harness import codes

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


async def test_reading_and_listing_by_region(api: Harness) -> None:
    gateway = core.Gateway()
    gateway.metadata.name = "gw-one"
    gateway.status.region_ref.CopyFrom(reference(api.resources.get(core.Region, name="default")))
    await api.store(gateway)
    assert (await api.core("GetGateway", meta.GetOptions(name="gw-one"))).metadata.uid
    options = core.ListGatewayOptions(region_ref=meta.ObjectReference(name="default"))
    assert len((await api.core("ListGateway", options)).items) == 1
    options = core.ListGatewayOptions(region_ref=meta.ObjectReference(name="nowhere"))
    assert codes(await api.refused("ListGateway", options))[0] == "NOT_FOUND"
