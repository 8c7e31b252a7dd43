from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octelium.apiserver.connect.network import network_of
from octelium.apiserver.connect.requests import (
    MOST_BYTES,
    MOST_PUBLISHED,
    MOST_SERVED,
    initialize_of,
    requested,
)
from octelium.schema.errors import Invalid
from octelium.schema.names import LABEL
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import user_v1_pb2 as user
from tests.apiserver.connect.world import World, initialize

if TYPE_CHECKING:
    from octelium.apiserver.connect.network import Network

Initialize = user.ConnectRequestInitialize
Options = user.ConnectRequestInitializeServiceOptions
Served = user.ConnectRequestInitializeServiceOptionsService
Published = user.ConnectRequestInitializePublishedService
TYPES = user.ConnectRequestInitializeConnectionType__


def network(world: World) -> Network:
    found = network_of(world.resources.get(core.ClusterConfig, name="default"))
    assert found is not None
    return found


def ask(world: World, **fields: Any) -> core.SessionStatusConnection:
    return requested(world.resources, network(world), Initialize(**fields))


def test_the_largest_message_that_makes_sense_is_taken() -> None:
    label = "a" * 40
    assert LABEL.fullmatch(label)
    assert not LABEL.fullmatch(label + "a")
    name, address = f"{label}.{label}", ":".join(["ffff"] * 8)
    published = [Published(name=name, port=65535, address=address)] * MOST_PUBLISHED
    options = Options(serve_all=True, port_start=65535, services=[Served(name=name)] * MOST_SERVED)
    request = initialize(
        service_options=options,
        published_services=published,
        e_ssh_enable=True,
        e_ssh_port=65535,
        e_socks5_enable=True,
        e_socks5_port=65535,
    )
    assert 38_000 < request.ByteSize() < 41_000 < MOST_BYTES


def test_the_first_message_is_initialize() -> None:
    assert initialize_of(initialize(ignore_dns=True)).ignore_dns
    for other in (
        user.ConnectRequest(),
        user.ConnectRequest(keep_alive=user.ConnectRequestKeepAlive()),
    ):
        with pytest.raises(Invalid):
            initialize_of(other)


async def test_unset_and_wireguard_are_wireguard_and_quic_is_not_offered(world: World) -> None:
    for wanted in (TYPES.UNSET, TYPES.WIREGUARD):
        made = ask(world, connection_type=wanted)
        assert made.type == core.SessionStatusConnectionType__.WIREGUARD
    with pytest.raises(Invalid, match="QUIC"):
        ask(world, connection_type=TYPES.QUICV0)
    with pytest.raises(Invalid, match="l3Mode"):
        ask(world, l3_mode=7)


@pytest.mark.parametrize("mark", ["is_user_hidden", "is_system_hidden", ""])
async def test_hidden_services_are_passed_over_as_missing_ones_are(world: World, mark: str) -> None:
    wiki = await world.add_service("wiki.default")
    if mark:
        hidden = await world.add_service("dns.octelium")
        await world.change(hidden, lambda one: setattr(one.metadata, mark, True))
    names = ("wiki", "missing.default", "dns.octelium", "wiki.default")
    made = ask(
        world,
        service_options=Options(services=[Served(name=name) for name in names]),
        published_services=[Published(name=name, port=1) for name in names[1:]],
    )
    (item,) = made.service_options.requested_services
    assert item.service_ref.uid == wiki.metadata.uid
    assert item.namespace_ref == wiki.status.namespace_ref
    assert made.service_options.port_start == 23000
    (published,) = made.published_services
    assert published.service_ref.uid == wiki.metadata.uid


async def test_the_number_of_services_is_bounded(world: World) -> None:
    many = [Served(name=f"svc{number}") for number in range(257)]
    assert ask(world, service_options=Options(services=many[1:]))
    with pytest.raises(Invalid, match="256"):
        ask(world, service_options=Options(services=many))
    published = [Published(name=f"svc{number}", port=1) for number in range(129)]
    assert not ask(world, published_services=published[1:]).published_services
    with pytest.raises(Invalid, match="128"):
        ask(world, published_services=published)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"service_options": Options(services=[Served(name="a.b.c")])}, "services[0].name"),
        ({"service_options": Options(services=[Served(name="")])}, "services[0].name"),
        ({"service_options": Options(label_selector="a=b")}, "labelSelector"),
        ({"service_options": Options(port_start=-1)}, "portStart"),
        ({"service_options": Options(port_start=65536)}, "portStart"),
        ({"published_services": [Published(name="Wiki!", port=1)]}, "[0].name"),
        ({"published_services": [Published(name="wiki", port=0)]}, "[0].port"),
        ({"published_services": [Published(name="wiki", port=65536)]}, "[0].port"),
        ({"published_services": [Published(name="wiki", port=1, address="h")]}, "[0].address"),
        ({"e_ssh_enable": True, "e_ssh_port": 65536}, "eSSHPort"),
        ({"e_socks5_enable": True, "e_socks5_port": -5}, "eSOCKS5Port"),
    ],
)
async def test_what_cannot_be_is_named(world: World, fields: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid) as caught:
        ask(world, **fields)
    assert caught.value.path.endswith(path)


@pytest.mark.parametrize("address", ["", "localhost", "127.0.0.1", "::1", "0.0.0.0"])
async def test_addresses_to_publish_at(world: World, address: str) -> None:
    wiki = await world.add_service("wiki.default")
    made = ask(world, published_services=[Published(name="wiki", port=8080, address=address)])
    (item,) = made.published_services
    assert (item.port, item.address) == (8080, address)
    assert item.service_ref.uid == wiki.metadata.uid


async def test_ports_of_servers_in_the_client(world: World) -> None:
    made = ask(world, e_ssh_enable=True, e_socks5_port=1080)
    assert (made.e_ssh_port, made.e_socks5_port) == (22022, 0)


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.binary(max_size=80))
async def test_any_message_is_taken_or_refused(world: World, data: bytes) -> None:
    try:
        wanted = Initialize.FromString(data)
    except DecodeError:
        return
    try:
        made = requested(world.resources, network(world), wanted)
    except Invalid:
        return
    assert not made.addresses
    assert not made.x25519_public_key
