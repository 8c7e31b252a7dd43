from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from octelium.apiserver.connect.upstreams import _free_ports, allocate, backends
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user
from tests.apiserver.connect.test_service_addresses import delete
from tests.apiserver.connect.world import World, create_service

if TYPE_CHECKING:
    from tests.apiserver.connect.world import Tunnel

Options = user.ConnectRequestInitializeServiceOptions
Served = user.ConnectRequestInitializeServiceOptionsService
L4 = user.HostedServiceL4Type__


def by_alice(*urls: str, user_name: str = "alice") -> dict[str, Any]:
    """The configuration of a Service that alice's clients serve."""
    endpoints = [{"url": url, "user": user_name} for url in urls]
    return {"upstream": {"loadbalance": {"endpoints": endpoints}}}


async def serve(world: World, session: core.Session, **options: Any) -> Tunnel:
    return await world.connect(session, service_options=Options(**options))


def ports(session: core.Session) -> dict[str, int]:
    return {entry.service_ref.name: entry.port for entry in session.status.connection.upstreams}


async def test_a_client_serves_what_it_offers_and_its_user_is_asked_for(world: World) -> None:
    alice, bob = await world.add_session(), await world.add_session("bob")
    await world.add_service("wiki.default", config=by_alice("tcp://10.1.1.1:8080"))
    await world.add_service("ntp.default", mode="UDP", config=by_alice("udp://10.1.1.2:123"))
    await world.add_service("other.default", config=by_alice("tcp://h:1", user_name="bob"))
    await world.add_service("plain.default", config={"upstream": {"url": "tcp://h:1"}})
    await world.add_service("off.default", isDisabled=True, config=by_alice("tcp://h:1"))
    state = await (await serve(world, alice, serve_all=True, port_start=20000)).state()
    wiki, ntp = state.service_options.services
    assert (wiki.name, wiki.port, wiki.l4_type) == ("wiki.default", 20000, L4.TCP)
    assert (wiki.upstream.host, wiki.upstream.port) == ("10.1.1.1", 8080)
    assert wiki.mode == user.HostedServiceMode__.MODE_DEFAULT
    (own,) = state.addresses
    assert f"{wiki.address.ipv4}/32" == own.v4
    assert f"{wiki.address.ipv6}/128" == own.v6
    assert (ntp.name, ntp.port, ntp.l4_type) == ("ntp.default", 20001, L4.UDP)
    (entry, _) = world.session(alice).status.connection.upstreams
    assert entry.namespace_ref.name == "default"
    named = [Served(name="ntp"), Served(name="other")]
    state = await (await serve(world, alice, services=named)).state()
    assert [(one.name, one.port) for one in state.service_options.services] == [
        ("ntp.default", 23000)
    ]
    assert not (await (await world.connect(alice)).state()).service_options.services
    state = await (await serve(world, bob, serve_all=True)).state()
    assert [one.name for one in state.service_options.services] == ["other.default"]


async def test_what_changes_reaches_the_stream(world: World) -> None:
    alice = await world.add_session()
    tunnel = await serve(world, alice, serve_all=True)
    assert not (await tunnel.state()).service_options.services
    wiki = await world.add_service("wiki.default", config=by_alice("tcp://10.1.1.1:80"))
    added = (await tunnel.event("add_service")).service
    assert (added.name, added.port, added.upstream.host) == ("wiki.default", 23000, "10.1.1.1")

    def move(service: core.Service) -> None:
        service.spec.config.upstream.loadbalance.endpoints[0].url = "tcp://10.9.9.9:81"

    await world.change(wiki, move)
    updated = (await tunnel.event("update_service")).service
    assert (updated.port, updated.upstream.host, updated.upstream.port) == (23000, "10.9.9.9", 81)
    await world.add_service("mail.default", config=by_alice("tcp://10.1.1.3:25"))
    assert (await tunnel.event("add_service")).service.port == 23001
    await world.write(lambda tx: delete(tx, wiki, alice))
    assert (await tunnel.event("delete_service")).name == "wiki.default"
    assert ports(world.session(alice)) == {"mail.default": 23001}


async def test_a_service_that_is_made_again_is_served_again(world: World) -> None:
    alice = await world.add_session()
    wiki = await world.add_service("wiki.default", config=by_alice("tcp://10.1.1.1:80"))
    tunnel = await serve(world, alice, services=[Served(name="wiki")])
    await tunnel.state()
    await world.write(lambda tx: delete(tx, wiki, alice))
    assert (await tunnel.event("delete_service")).name == "wiki.default"
    await world.add_service("wiki.default", config=by_alice("tcp://10.1.1.2:80"))
    assert (await tunnel.event("add_service")).service.upstream.host == "10.1.1.2"


async def test_a_service_that_is_served_no_longer_is_taken_away(world: World) -> None:
    alice = await world.add_session()
    wiki = await world.add_service("wiki.default", config=by_alice("tcp://10.1.1.1:80"))
    tunnel = await serve(world, alice, serve_all=True)
    await tunnel.state()
    await world.change(wiki, lambda one: setattr(one.spec, "is_disabled", True))
    assert (await tunnel.event("delete_service")).name == "wiki.default"
    await world.change(wiki, lambda one: setattr(one.spec, "is_disabled", False))
    assert (await tunnel.event("add_service")).service.name == "wiki.default"

    def hand_over(service: core.Service) -> None:
        service.metadata.spec_labels.clear()
        service.spec.config.upstream.loadbalance.endpoints[0].user = ""

    await world.change(wiki, hand_over)
    assert (await tunnel.event("delete_service")).name == "wiki.default"


async def test_several_upstreams_of_one_service_are_replaced_together(world: World) -> None:
    alice = await world.add_session()
    wiki = await world.add_service("wiki.default", config=by_alice("tcp://a:80", "tcp://b:80"))
    tunnel = await serve(world, alice, serve_all=True)
    hosted = (await tunnel.state()).service_options.services
    assert [(one.port, one.upstream.host) for one in hosted] == [(23000, "a"), (23001, "b")]

    def add(service: core.Service) -> None:
        endpoint = service.spec.config.upstream.loadbalance.endpoints.add(url="tcp://c:80")
        endpoint.user = "alice"

    await world.change(wiki, add)
    assert (await tunnel.event("delete_service")).name == "wiki.default"
    added = [(await tunnel.event("add_service")).service for _ in range(3)]
    assert [(one.port, one.upstream.host) for one in added] == [
        (23000, "a"),
        (23001, "b"),
        (23002, "c"),
    ]


async def test_a_change_that_matters_to_nobody_writes_nothing(world: World) -> None:
    alice = await world.add_session()
    wiki = await world.add_service("wiki.default", config=by_alice("tcp://a:80"))
    await (await serve(world, alice, serve_all=True)).state()
    await world.change(wiki, lambda one: setattr(one.metadata, "description", "new"))
    revision = world.resources.revision
    await world.turn()
    assert world.resources.revision == revision


async def test_clients_that_serve_nothing_are_left_alone(world: World) -> None:
    alice = await world.add_session()
    await (await world.connect(alice)).state()
    wanted: list[str] = []
    registry = world.service.registry
    stop = world.resources.subscribe(lambda _: wanted.extend(registry._work.refreshes))
    await world.add_service("wiki.default", config=by_alice("tcp://a:80"))
    assert not wanted
    await (await serve(world, alice, serve_all=True)).state()
    await world.add_service("mail.default", config=by_alice("tcp://a:25"))
    assert alice.metadata.uid in wanted
    stop()


async def test_ports_run_out_without_harm(world: World) -> None:
    session = await world.add_session()
    options = session.status.connection.service_options
    options.serve_all, options.port_start = True, 65535

    def add(tx: Any) -> None:
        create_service(tx, "wiki.default", config=by_alice("tcp://a:1"))
        create_service(tx, "mail.default", config=by_alice("tcp://a:2"))

    await world.write(add)
    assert allocate(world.resources, session)
    assert ports(session) == {"wiki.default": 65535}
    assert not allocate(world.resources, session)


@given(st.integers(1, 65535), st.sets(st.integers(1, 65535), max_size=40))
def test_free_ports_are_from_the_range_and_not_taken(start: int, taken: set[int]) -> None:
    found = list(_free_ports(start, taken))
    assert len(set(found)) == len(found) <= 10_000
    assert not taken.intersection(found)
    assert all(start <= port < min(start + 10_000, 65536) for port in found)


def test_backends_of_every_configuration_count_once() -> None:
    value: dict[str, Any] = {
        "config": {"upstream": {"url": "https://h", "user": "alice"}},
        "dynamicConfig": {
            "configs": [
                {"name": "one", "upstream": {"url": "https://h:443", "user": "alice"}},
                {"name": "two", "upstream": {"url": "https://[fd00::1]:8443", "user": "alice"}},
                {"name": "three", "upstream": {"url": "https://x:1", "user": "bob"}},
            ]
        },
    }
    service = core.Service(spec=from_json(core.ServiceSpec, value))
    assert backends(service, "alice") == [("h", 443), ("fd00::1", 8443)]


class Holder:
    """A reader that knows one User and some Services."""

    def __init__(self, user_name: str = "", services: tuple[core.Service, ...] = ()) -> None:
        self._user_name = user_name
        self._services = services

    def peek(self, _kind: object, *, uid: str) -> core.User | None:
        if not self._user_name:
            return None
        person = core.User()
        person.metadata.name, person.metadata.uid = self._user_name, uid
        return person

    def peek_all(self, _kind: object, *, by: dict[str, str]) -> list[core.Service]:
        assert by == {"specLabels.host-user-alice": "u"}
        return [*self._services]


def service_of(number: int, backends_of: list[int]) -> core.Service:
    service = core.Service()
    service.metadata.name = service.metadata.uid = f"svc{number}"
    for backend in backends_of:
        endpoint = service.spec.config.upstream.loadbalance.endpoints.add(user="alice")
        endpoint.url = f"tcp://h{backend}:1"
    return service


CONFIGURATIONS = st.dictionaries(st.integers(0, 4), st.lists(st.integers(0, 3), max_size=3))


@given(st.lists(CONFIGURATIONS, min_size=1, max_size=5))
def test_every_upstream_has_a_port_of_its_own_and_keeps_it(
    configurations: list[dict[int, list[int]]],
) -> None:
    session = core.Session()
    session.status.user_ref.uid = "u"
    session.status.connection.service_options.serve_all = True
    session.status.connection.service_options.port_start = 100
    before: dict[tuple[str, str], int] = {}
    for configuration in configurations:
        services = tuple(service_of(*item) for item in sorted(configuration.items()))
        changed = allocate(Holder("alice", services), session)  # type: ignore[arg-type]  # enough
        entries = session.status.connection.upstreams
        found = {(one.service_ref.uid, one.backend.host): one.port for one in entries}
        assert len(set(found.values())) == len(entries) == len(found)
        assert set(found) == {
            (f"svc{number}", f"h{backend}")
            for number, present in configuration.items()
            for backend in present
        }
        assert all(found[key] == before[key] for key in found.keys() & before.keys())
        assert changed == (found != before) or list(found) != list(before)
        before = found


def test_a_session_without_a_user_serves_nothing() -> None:
    session = core.Session()
    session.status.user_ref.CopyFrom(meta.ObjectReference(uid="gone"))
    session.status.connection.service_options.serve_all = True
    assert not allocate(Holder(), session)  # type: ignore[arg-type]  # all that is asked of it
