from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.harness import codes, resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


def web(name: str, **spec: Any) -> core.Service:
    config = {"upstream": {"url": "http://10.0.0.5:8080"}}
    made: core.Service = resource("Service", name, spec={"mode": "WEB", "config": config, **spec})
    return made


async def test_the_name_gets_its_namespace(api: Harness) -> None:
    made = await api.core("CreateService", web("wiki"))
    namespace = await api.core("GetNamespace", meta.GetOptions(name="default"))
    assert made.metadata.name == "wiki.default"
    assert made.status.namespace_ref.uid == namespace.metadata.uid
    assert made.status.primary_hostname == "wiki"
    assert list(made.status.additional_hostnames) == ["wiki.default"]
    assert made.status.port == 8080
    for name in ("wiki", "wiki.default"):
        got = await api.core("GetService", meta.GetOptions(name=name))
        assert got == made
    updated = await api.core("UpdateService", web("wiki", isDisabled=True))
    assert (updated.metadata.uid, updated.spec.is_disabled) == (made.metadata.uid, True)
    assert codes(await api.refused("CreateService", web("wiki.default")))[0] == "ALREADY_EXISTS"
    await api.core("DeleteService", meta.DeleteOptions(name="wiki"))


async def test_listing_by_namespace_and_region(api: Harness) -> None:
    await api.core("CreateNamespace", resource("Namespace", "prod"))
    for name in ("a1", "b1.prod", "c1.prod"):
        await api.core("CreateService", web(name))

    async def names(**options: Any) -> list[str]:
        listed = await api.core("ListService", core.ListServiceOptions(**options))
        return [item.metadata.name for item in listed.items]

    prod = api.resources.get(core.Namespace, name="prod")
    by_name = meta.ObjectReference(name="prod")
    by_uid = meta.ObjectReference(uid=prod.metadata.uid)
    assert await names() == ["a1.default", "b1.prod", "c1.prod"]
    assert await names(namespace_ref=by_name) == await names(namespace_ref=by_uid)
    assert await names(namespace_ref=by_name) == ["b1.prod", "c1.prod"]
    region = meta.ObjectReference(name="default")
    assert await names(region_ref=region, namespace_ref=by_name) == ["b1.prod", "c1.prod"]
    unknown = core.ListServiceOptions(namespace_ref=meta.ObjectReference(name="nope"))
    assert codes(await api.refused("ListService", unknown))[0] == "NOT_FOUND"
    empty = core.ListServiceOptions(namespace_ref=meta.ObjectReference())
    assert codes(await api.refused("ListService", empty))[0] == "INVALID_ARGUMENT"


async def test_the_clusters_own_stay(api: Harness) -> None:
    portal = web("portal.default", isPublic=True)
    portal.metadata.is_system = portal.metadata.is_user_hidden = True
    await api.store(portal)
    given = web("portal", isPublic=False)
    assert codes(await api.refused("UpdateService", given))[0] == "PERMISSION_DENIED"
    options = meta.DeleteOptions(name="portal.default")
    assert codes(await api.refused("DeleteService", options))[0] == "PERMISSION_DENIED"
    listed = await api.core("ListService")
    assert [item.metadata.name for item in listed.items] == ["portal.default"]
