from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.harness import codes, resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


async def test_one_with_services_stays(api: Harness) -> None:
    await api.core("CreateNamespace", resource("Namespace", "prod"))
    service = resource(
        "Service",
        "wiki.prod",
        spec={"mode": "TCP", "port": 80, "config": {"upstream": {"url": "tcp://h:80"}}},
    )
    await api.core("CreateService", service)
    error = await api.refused("DeleteNamespace", meta.DeleteOptions(name="prod"))
    assert codes(error)[0] == "INVALID_ARGUMENT"
    assert "wiki.prod" in codes(error)[1]
    await api.core("DeleteService", meta.DeleteOptions(name="wiki.prod"))
    await api.core("DeleteNamespace", meta.DeleteOptions(name="prod"))


@pytest.mark.parametrize("name", ["octelium-x", "local", "cordium"])
async def test_reserved_names(api: Harness, name: str) -> None:
    error = await api.refused("CreateNamespace", resource("Namespace", name))
    assert codes(error)[0] == "INVALID_ARGUMENT"
    assert name.partition("-")[0] in codes(error)[1]


async def test_the_builtin_one_is_the_clusters(api: Harness) -> None:
    given = resource("Namespace", "default", metadata={"displayName": "mine"})
    assert codes(await api.refused("UpdateNamespace", given))[0] == "PERMISSION_DENIED"
    options = meta.DeleteOptions(name="default")
    assert codes(await api.refused("DeleteNamespace", options))[0] == "PERMISSION_DENIED"


async def test_a_service_and_a_namespace_do_not_share_a_host_name(api: Harness) -> None:
    spec = {"mode": "TCP", "port": 80, "config": {"upstream": {"url": "tcp://h:80"}}}
    await api.core("CreateService", resource("Service", "wiki", spec=spec))
    error = await api.refused("CreateNamespace", resource("Namespace", "wiki"))
    assert codes(error)[0] == "INVALID_ARGUMENT"
    await api.core("CreateNamespace", resource("Namespace", "prod"))
    error = await api.refused("CreateService", resource("Service", "prod", spec=spec))
    assert codes(error)[0] == "INVALID_ARGUMENT"
