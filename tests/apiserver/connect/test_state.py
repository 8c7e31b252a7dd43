from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.apiserver.connect.network import network_of
from octelium.apiserver.connect.state import (
    DNS_SERVICE,
    Keys,
    dns_servers,
    gateway_views,
    hosted_events,
    hosted_services,
)
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import user_v1_pb2 as user
from tests.apiserver.connect.test_service_addresses import PER_BLOCK
from tests.apiserver.connect.world import BOTH, V4, V6, World, create_service

if TYPE_CHECKING:
    from octelium.store.transaction import Transaction

NAMES = st.sampled_from(["a.default", "b.default", "c.team"])
HOSTED = st.builds(
    lambda name, port, host: user.HostedService(
        name=name, port=port, upstream=user.HostedServiceUpstream(host=host, port=1)
    ),
    NAMES,
    st.integers(1, 4),
    st.sampled_from(["x", "y"]),
)


def client(services: list[user.HostedService], events: list[user.ConnectResponse]) -> list[Any]:
    """What a client serves after events, which it takes as official clients do."""
    serving = list(services)
    for event in events:
        match event.WhichOneof("Event"):
            case "add_service":
                serving.append(event.add_service.service)
            case "update_service":
                service = event.update_service.service
                serving = [one for one in serving if one.name != service.name] + [service]
            case "delete_service":
                name = event.delete_service.name
                serving = [one for one in serving if one.name != name]
    return serving


@given(st.lists(HOSTED, max_size=5), st.lists(HOSTED, max_size=5))
def test_events_lead_clients_from_one_list_to_the_other(
    before: list[user.HostedService], after: list[user.HostedService]
) -> None:
    events = hosted_events(before, after)
    reached = client(before, events)

    def key(service: user.HostedService) -> bytes:
        return service.SerializeToString(deterministic=True)

    assert sorted(map(key, reached)) == sorted(map(key, after))
    if before == after:
        assert not events


def test_keys_are_new_each_time() -> None:
    one, two = Keys.generate(), Keys.generate()
    first, second = core.SessionStatusConnection(), core.SessionStatusConnection()
    one.put_public(first)
    two.put_public(second)
    assert len(first.x25519_public_key) == len(first.ed25519_public_key) == 32
    assert first.x25519_public_key != second.x25519_public_key
    assert first.ed25519_public_key != second.ed25519_public_key


@pytest.mark.parametrize(
    ("mode", "servers"),
    [
        (V4, ["100.64.0.16"]),
        (V6, ["fdee:1:2:3::10"]),
        (BOTH, ["100.64.0.16", "fdee:1:2:3::10"]),
    ],
)
async def test_name_servers_are_those_of_the_clients_families(
    world: World, mode: Any, servers: list[str]
) -> None:
    await world.add_service(DNS_SERVICE)
    alice = await world.add_session()
    state = await (await world.connect(alice, l3_mode=mode)).state()
    assert [*state.dns.servers] == servers


async def test_new_name_servers_are_told_in_both_families(world: World) -> None:
    alice = await world.add_session()
    tunnel = await world.connect(alice, l3_mode=V4)
    assert not (await tunnel.state()).dns.servers
    service = await world.add_service(DNS_SERVICE)
    told = (await tunnel.event("update_dns")).dns
    assert [*told.servers] == ["100.64.0.16", "fdee:1:2:3::10"]
    assert [*told.servers] == dns_servers(world.resources)
    await world.change(service, lambda one: setattr(one.metadata, "description", "x"))
    await world.call("Disconnect", user.DisconnectRequest(), alice)
    assert await tunnel.rest() == ["disconnect"]


async def test_cidrs_follow_from_the_blocks_and_are_told(world: World) -> None:
    alice = await world.add_session()
    tunnel = await world.connect(alice)
    (gateway,) = (await tunnel.state()).gateways
    assert [*gateway.cid_rs] == ["100.64.0.0/24", "fdee:1:2:3::/112"]

    def fill(tx: Transaction) -> None:
        for number in range(PER_BLOCK + 1):
            create_service(tx, f"svc{number}.default")

    await world.write(fill)
    told = (await tunnel.event("update_gateway")).gateway
    assert [*told.cid_rs] == ["100.64.0.0/23", "fdee:1:2:3::/111"]
    network = network_of(world.resources.get(core.ClusterConfig, name="default"))
    assert network is not None
    assert gateway_views(world.resources, network) == {told.id: told}


def test_a_hosted_service_is_at_its_clients_addresses() -> None:
    connection = core.SessionStatusConnection()
    connection.addresses.add(v4="100.65.0.9/32", v6="fdee::1:0:9/128")
    connection.upstreams.add(port=7, mode=core.SessionStatusConnectionUpstreamMode__.ESSH)
    (hosted,) = hosted_services(connection)
    assert (hosted.address.ipv4, hosted.address.ipv6) == ("100.65.0.9", "fdee::1:0:9")
    assert hosted.mode == user.HostedServiceMode__.MODE_ESSH
