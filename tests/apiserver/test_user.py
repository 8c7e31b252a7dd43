from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from grpc.aio import AioRpcError

from octelium.apiserver.rpc import Binding
from octelium.apiserver.user import DESCRIPTOR, SESSION_END_TRAILER, UserService
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user
from octelium.store.metadata import reference
from tests.apiserver.calls import Calls, as_session, serving
from tests.identity.cluster import CLI, SDK, Cluster, open_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from octelium.store.transaction import Transaction

CODE = grpc.StatusCode


def add_namespace(tx: Transaction, name: str, **flags: bool) -> core.Namespace:
    namespace = core.Namespace()
    namespace.metadata.name = name
    namespace.metadata.display_name = name.title()
    namespace.metadata.description = f"The Namespace {name}"
    namespace.metadata.labels["team"] = "x"
    for flag, value in flags.items():
        setattr(namespace.metadata, flag, value)
    return tx.create(namespace)


def add_service(
    tx: Transaction, name: str, namespace: core.Namespace, mode: Any = 3, **flags: bool
) -> core.Service:
    service = core.Service()
    service.metadata.name = f"{name}.{namespace.metadata.name}"
    service.metadata.display_name = name.title()
    service.spec.mode = mode
    service.spec.is_public = True
    service.status.port = 8080
    service.status.primary_hostname = name
    service.status.namespace_ref.CopyFrom(reference(namespace))
    for flag, value in flags.items():
        setattr(service.metadata, flag, value)
    return tx.create(service)


class World:
    """A Cluster with Services, and Sessions of alice (CLIENT) and robot (CLIENTLESS)."""

    cluster: Cluster
    alice: core.Session
    robot: core.Session

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def __call__(self, method: str, request: Any = None, session: Any = None) -> Any:
        return await self._calls(method, request, as_session(session or self.alice))

    @property
    def trailers(self) -> dict[str, str | bytes]:
        return self._calls.trailers

    async def refused(
        self, method: str, request: Any = None, session: Any = None
    ) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(AioRpcError) as caught:
            await self(method, request, session)
        return caught.value.code(), caught.value.details() or ""


def populate(tx: Transaction) -> None:
    default = add_namespace(tx, "default")
    team = add_namespace(tx, "team")
    hidden = add_namespace(tx, "octelium", is_system=True, is_user_hidden=True)
    add_namespace(tx, "deep", is_system_hidden=True)
    wiki = add_service(tx, "wiki", default)
    for v4, v6 in (("100.64.0.5", "fdee::5"), ("100.64.0.6", "")):
        address = wiki.status.addresses.add()
        address.dual_stack_ip.ipv4 = v4
        address.dual_stack_ip.ipv6 = v6
    wiki.spec.is_tls = True
    tx.update(wiki)
    add_service(tx, "shell", default, core.ServiceSpecMode__.SSH)
    add_service(tx, "wiki", team)
    add_service(tx, "dns", hidden, core.ServiceSpecMode__.DNS, is_user_hidden=True)
    add_service(tx, "deep", default, is_system_hidden=True)


@pytest_asyncio.fixture(name="world")
async def world_fixture(tmp_path: Path) -> AsyncIterator[World]:
    async with open_cluster(tmp_path) as cluster:
        await cluster.write(populate)
        service = UserService(cluster.resources, clock=cluster.clock)
        binding = Binding(DESCRIPTOR, service)
        async with serving(binding, tmp_path, lasting=service.lasting()) as calls:
            world = World(calls)
            world.cluster = cluster
            for person, downstream in ((cluster.alice, CLI), (cluster.robot, SDK)):
                token = cluster.token(await cluster.add_credential(person))
                issued = await cluster.authentication.with_authentication_token(
                    token, downstream=downstream, operation="sign-in"
                )
                setattr(world, person.metadata.name, issued.session)
            yield world


async def test_status(world: World) -> None:
    config = world.cluster.resources.get(core.ClusterConfig, name="default")
    config.metadata.display_name = "The lab"
    await world.cluster.change(config)
    alice = world.cluster.get(world.cluster.alice)
    alice.metadata.display_name = "Alice"
    alice.metadata.labels["secret"] = "label"
    alice.spec.email = "alice@example.com"
    alice.spec.groups.append("admins")
    await world.cluster.change(alice)
    reply = await world("GetStatus")
    assert reply.domain == "example.com"
    assert reply.cluster.metadata == meta.Metadata(display_name="The lab")
    assert reply.user.metadata == meta.Metadata(
        uid=alice.metadata.uid, name="alice", display_name="Alice"
    )
    assert reply.user.spec.email == "alice@example.com"
    assert reply.user.spec.type == user.GetStatusResponseUserSpecType__.HUMAN
    assert reply.session.metadata == meta.Metadata(
        uid=world.alice.metadata.uid, name=world.alice.metadata.name
    )
    assert reply.session.status.type == user.GetStatusResponseSessionStatusType__.CLIENT
    assert not reply.session.status.is_connected
    end = world.trailers[SESSION_END_TRAILER]
    assert isinstance(end, bytes)
    assert Timestamp.FromString(end) == world.alice.spec.expires_at


async def test_every_message_of_a_status_is_present(world: World) -> None:
    reply = await world("GetStatus", session=world.robot)
    assert reply.HasField("cluster")
    assert reply.cluster.HasField("metadata")
    for part in (reply.user, reply.session):
        for field in ("metadata", "spec", "status"):
            assert part.HasField(field)
    assert reply.session.status.type == user.GetStatusResponseSessionStatusType__.CLIENTLESS


async def test_the_picture_of_a_session_may_be_its_identity_providers(world: World) -> None:
    session = world.cluster.get(world.alice)
    info = session.status.authentication.info
    info.identity_provider.pic_url = "https://id.example.com/a.png"
    session = await world.cluster.change(session)
    assert (await world("GetStatus")).session.metadata.pic_url == "https://id.example.com/a.png"
    session.metadata.pic_url = "https://own.example.com/a.png"
    await world.cluster.change(session)
    assert (await world("GetStatus")).session.metadata.pic_url == "https://own.example.com/a.png"


METHODS = [method.name for method in DESCRIPTOR.methods]


@pytest.mark.parametrize("method", METHODS)
async def test_without_a_session_nothing_is_told(world: World, method: str) -> None:
    with pytest.raises(AioRpcError) as caught:
        await world._calls(method)
    assert caught.value.code() is CODE.UNAUTHENTICATED


@pytest.mark.parametrize("method", METHODS)
async def test_a_session_that_has_just_gone_is_none(world: World, method: str) -> None:
    await world.cluster.delete(world.alice)
    assert await world.refused(method) == (CODE.UNAUTHENTICATED, "Unauthenticated User")


async def test_namespaces(world: World) -> None:
    reply = await world("ListNamespace")
    assert (reply.api_version, reply.kind) == ("user/v1", "NamespaceList")
    assert [item.metadata.name for item in reply.items] == ["default", "team"]
    assert reply.list_response_meta.total_count == 2
    item = reply.items[0]
    assert item.HasField("spec")
    assert item.HasField("status")
    assert item.metadata == meta.Metadata(
        uid=item.metadata.uid,
        name="default",
        display_name="Default",
        description="The Namespace default",
    )


async def names(world: World, **options: Any) -> list[str]:
    reply = await world("ListService", user.ListServiceOptions(**options))
    assert (reply.api_version, reply.kind) == ("user/v1", "ServiceList")
    return [item.metadata.name for item in reply.items]


async def test_services(world: World) -> None:
    assert await names(world) == ["wiki.default", "shell.default", "wiki.team"]
    assert await names(world, namespace="team") == ["wiki.team"]
    assert await names(world, type=user.ServiceSpecType__.SSH) == ["shell.default"]
    assert await names(world, type=user.ServiceSpecType__.RDP) == []
    ssh = user.ServiceSpecType__.SSH
    assert await names(world, namespace="team", type=ssh) == []


async def test_services_come_in_pages(world: World) -> None:
    order = meta.CommonListOptionsOrderBy(
        type=meta.CommonListOptionsOrderByType__.NAME,
        mode=meta.CommonListOptionsOrderByMode__.DESC,
    )
    common = meta.CommonListOptions(items_per_page=2, order_by=order)
    reply = await world("ListService", user.ListServiceOptions(common=common))
    assert [item.metadata.name for item in reply.items] == ["wiki.team", "wiki.default"]
    assert reply.list_response_meta.has_more
    common.page = 2
    code, _ = await world.refused("ListService", user.ListServiceOptions(common=common))
    assert code is CODE.NOT_FOUND


@pytest.mark.parametrize(
    ("namespace", "expected"),
    [
        ("nowhere", CODE.NOT_FOUND),
        ("No Where", CODE.INVALID_ARGUMENT),
    ],
)
async def test_namespaces_that_cannot_be_listed(
    world: World, namespace: str, expected: grpc.StatusCode
) -> None:
    code, text = await world.refused("ListService", user.ListServiceOptions(namespace=namespace))
    assert code is expected
    assert text


async def test_a_service(world: World) -> None:
    stored = world.cluster.resources.get(core.Service, name="wiki.default")
    expected = user.Service(
        metadata=meta.Metadata(uid=stored.metadata.uid, name="wiki.default", display_name="Wiki"),
        spec=user.ServiceSpec(
            port=8080, type=user.ServiceSpecType__.HTTP, is_tls=True, is_public=True
        ),
        status=user.ServiceStatus(
            namespace="default",
            addresses=["100.64.0.5", "fdee::5", "100.64.0.6"],
            primary_hostname="wiki",
        ),
    )
    for options in (
        meta.GetOptions(name="wiki"),
        meta.GetOptions(name="wiki.default"),
        meta.GetOptions(uid=stored.metadata.uid),
    ):
        assert await world("GetService", options) == expected
    listed = await world("ListService")
    assert listed.items[0] == expected


async def test_whether_the_caller_serves_a_service(world: World) -> None:
    """Others who serve it are nobody's business."""
    own = (await world("GetStatus")).user.metadata.name
    labels = {f"host-user-{own}": "uid-1", "host-user-somebody": "uid-2", "other": "x"}
    async with world.cluster.resources.transaction() as tx:
        service = tx.get(core.Service, name="wiki.default")
        service.metadata.spec_labels.update(labels)
        tx.update(service)
    expected = {f"host-user-{own}": "uid-1"}
    told = await world("GetService", meta.GetOptions(name="wiki"))
    assert dict(told.metadata.spec_labels) == expected
    listed = await world("ListService")
    assert [dict(each.metadata.spec_labels) for each in listed.items] == [expected, {}, {}]


async def test_modes_have_one_numbering() -> None:
    modes = core.ServiceSpecMode__.DESCRIPTOR.enum_types[0]
    types = user.ServiceSpecType__.DESCRIPTOR.enum_types[0]
    assert {v.number: v.name for v in types.values if v.number} == {
        v.number: v.name for v in modes.values if v.number
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (meta.GetOptions(), CODE.INVALID_ARGUMENT),
        (meta.GetOptions(name="x y"), CODE.INVALID_ARGUMENT),
        (meta.GetOptions(uid="x"), CODE.INVALID_ARGUMENT),
        (meta.GetOptions(name="nothing"), CODE.NOT_FOUND),
    ],
)
async def test_services_that_cannot_be_got(
    world: World, options: meta.GetOptions, expected: grpc.StatusCode
) -> None:
    assert (await world.refused("GetService", options))[0] is expected


@pytest.mark.parametrize(
    ("hidden", "nobodys"),
    [("dns.octelium", "wiki.octelium"), ("deep", "none"), ("deep.default", "none.default")],
)
async def test_who_asks_for_a_hidden_service_does_not_learn_that_it_is_there(
    world: World, hidden: str, nobodys: str
) -> None:
    session = world.cluster.get(world.alice)
    session.status.is_connected = True
    session.status.connection.ignore_dns = True
    await world.cluster.change(session)
    methods = {"GetService": meta.GetOptions, "SetServiceConfigs": user.SetServiceConfigsRequest}
    for method, request in methods.items():
        code, text = await world.refused(method, request(name=nobodys))
        assert code is CODE.NOT_FOUND
        hidden_too = await world.refused(method, request(name=hidden))
        assert hidden_too == (code, text.replace(nobodys, hidden))


async def test_a_hidden_service_is_not_found_by_its_uid(world: World) -> None:
    stored = [
        world.cluster.resources.get(core.Service, name=name)
        for name in ("dns.octelium", "deep.default")
    ]
    for uid in (*(each.metadata.uid for each in stored), str(uuid.uuid4())):
        assert await world.refused("GetService", meta.GetOptions(uid=uid)) == (
            CODE.NOT_FOUND,
            f"core.v1.Service {uid} does not exist",
        )


async def test_a_hidden_namespace_is_none(world: World) -> None:
    for name in ("octelium", "deep", "nowhere"):
        assert await world.refused("ListService", user.ListServiceOptions(namespace=name)) == (
            CODE.NOT_FOUND,
            f"Namespace {name} does not exist",
        )


async def test_disconnecting_what_is_not_connected_does_nothing(world: World) -> None:
    before = world.cluster.resources.revision
    assert await world("Disconnect") == user.DisconnectResponse()
    assert world.cluster.resources.revision == before
    code, text = await world.refused("Disconnect", session=world.robot)
    assert code is CODE.INVALID_ARGUMENT
    assert "CLIENT" in text


async def test_disconnecting(world: World) -> None:
    for count in range(1, 4):
        session = world.cluster.get(world.alice)
        session.status.is_connected = True
        session.status.connection.started_at.seconds = count
        await world.cluster.change(session)
        assert (await world("GetStatus")).session.status.is_connected
        await world("Disconnect")
        session = world.cluster.get(world.alice)
        assert not session.status.is_connected
        assert not session.status.HasField("connection")
        assert len(session.status.last_connections) == count
        assert session.status.last_connections[0].started_at.seconds == count
        ended = session.status.last_connections[0].ended_at.seconds
        assert ended == int(world.cluster.clock())
    assert session.metadata.actor_ref.uid == session.metadata.uid
    assert session.metadata.actor_operation == f"{DESCRIPTOR.full_name}/Disconnect"


async def test_client_configurations_need_a_tunnel(world: World) -> None:
    request = user.SetServiceConfigsRequest(name="wiki")
    code, text = await world.refused("SetServiceConfigs", request)
    assert code is CODE.INVALID_ARGUMENT
    assert "not connected" in text
    session = world.cluster.get(world.alice)
    session.status.is_connected = True
    session.status.connection.ignore_dns = True
    await world.cluster.change(session)
    reply = await world("SetServiceConfigs", request)
    assert (reply.host, reply.port, len(reply.configs)) == ("fdee::5", 8080, 0)
    missing = user.SetServiceConfigsRequest(name="nothing")
    assert (await world.refused("SetServiceConfigs", missing))[0] is CODE.NOT_FOUND


async def test_connect_is_refused_with_a_status_that_stops_clients(world: World) -> None:
    request = user.ConnectRequest(initialize=user.ConnectRequestInitialize())
    code, text = await world.refused("Connect", request)
    assert code is CODE.PERMISSION_DENIED
    assert "Gateway" in text
    code, _ = await world.refused("Connect", session=world.robot)
    assert code is CODE.INVALID_ARGUMENT
