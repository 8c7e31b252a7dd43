from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
import yaml

from octelium.apiserver.connect.configs import service_configs
from octelium.schema.errors import Invalid
from octelium.schema.pb import user_v1_pb2 as user
from tests.apiserver.connect.world import BOTH, V4, V6, World

if TYPE_CHECKING:
    from octelium.schema.pb import core_v1_pb2 as core

Published = user.ConnectRequestInitializePublishedService


async def configs(world: World, session: core.Session, name: str) -> Any:
    return await world.call("SetServiceConfigs", user.SetServiceConfigsRequest(name=name), session)


async def test_a_published_service_is_where_it_was_published(world: World) -> None:
    await world.add_service("wiki.default")
    await world.add_service("mail.default")
    alice = await world.add_session()
    published = [
        Published(name="wiki", port=8080),
        Published(name="mail.default", port=2525, address="192.0.2.9"),
        Published(name="missing", port=1, address="localhost"),
    ]
    await (await world.connect(alice, published_services=published, l3_mode=V4)).state()
    wiki, mail = await configs(world, alice, "wiki"), await configs(world, alice, "mail")
    assert (wiki.host, wiki.port) == ("localhost", 8080)
    assert (mail.host, mail.port) == ("192.0.2.9", 2525)
    assert wiki.l3_mode == user.SetServiceConfigsResponseL3Mode__.V4
    assert not wiki.configs


async def test_others_are_at_their_private_names(world: World) -> None:
    await world.add_service("wiki.default", port=81)
    await world.add_service("db.octelium")
    alice = await world.add_session()
    await (await world.connect(alice)).state()
    wiki, database = await configs(world, alice, "wiki"), await configs(world, alice, "db.octelium")
    assert (wiki.host, wiki.port) == ("wiki.local.example.com", 81)
    assert database.host == "db.octelium.local.example.com"


@pytest.mark.parametrize(
    ("mode", "host"), [(V4, "100.64.0.16"), (V6, "fdee:1:2:3::10"), (BOTH, "fdee:1:2:3::10")]
)
async def test_who_ignores_dns_gets_an_address(world: World, mode: Any, host: str) -> None:
    await world.add_service("wiki.default")
    alice = await world.add_session()
    await (await world.connect(alice, ignore_dns=True, l3_mode=mode)).state()
    assert (await configs(world, alice, "wiki")).host == host


@pytest.mark.parametrize(
    ("tls", "dns", "server"),
    [
        (False, True, "http://k8s.local.example.com:6443"),
        (True, True, "https://k8s.local.example.com:6443"),
        (True, False, "https://[fdee:1:2:3::10]:6443"),
    ],
)
async def test_kubernetes_has_a_kubeconfig(world: World, tls: bool, dns: bool, server: str) -> None:
    await world.add_service("k8s.default", mode="KUBERNETES", port=6443, isTLS=tls)
    alice = await world.add_session()
    await (await world.connect(alice, ignore_dns=not dns, l3_mode=V6)).state()
    (config,) = (await configs(world, alice, "k8s")).configs
    content = yaml.safe_load(config.kubeconfig.content)
    assert content["current-context"] == "kubernetes-admin@kubernetes"
    (context,) = content["contexts"]
    assert context["context"] == {"cluster": "kubernetes", "user": "kubernetes-admin"}
    (cluster,) = content["clusters"]
    assert cluster == {"name": "kubernetes", "cluster": {"server": server}}
    (person,) = content["users"]
    assert person["name"] == "kubernetes-admin"
    assert person["user"]["token"]


async def test_there_is_nothing_for_who_is_not_connected(world: World) -> None:
    service = await world.add_service("wiki.default")
    alice = await world.add_session()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await configs(world, alice, "wiki")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(Invalid, match="not connected"):
        service_configs(world.resources, world.session(alice), service)


async def test_a_service_without_an_address_cannot_be_reached_without_dns(world: World) -> None:
    service = await world.add_service("wiki.default")
    del service.status.addresses[:]
    alice = await world.add_session()
    await (await world.connect(alice, ignore_dns=True)).state()
    with pytest.raises(Invalid, match="no address"):
        service_configs(world.resources, world.session(alice), service)
