from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

import pytest

from octelium.cluster.private import PrivateSide
from octelium.cluster.private_plan import PrivatePlan, follow, places_of
from octelium.ingress.settings import Settings
from octelium.ingress.shares import Shares
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.vault import Vault
from octelium.tunnel.link import doors
from octelium.tunnel.link.open_places import OpenPlace
from octelium.tunnel.link.sockets import LinkError
from tests.gateway.world import config
from tests.vigil.world import service, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from octelium.tunnel.link.plan import LinkPlan

MODES = core.ServiceSpecMode__
MODE = core.ServiceSpec.DESCRIPTOR.fields_by_name["mode"].enum_type
assert MODE is not None


def placed(name: str, address: str, port: int, mode: int = MODES.TCP) -> core.Service:
    made = service(name, mode=mode)
    made.metadata.uid = ""
    made.status.port = port
    made.status.addresses.add().dual_stack_ip.ipv4 = address
    return made


def tcp(address: str, port: int) -> OpenPlace:
    return OpenPlace(socket.IPPROTO_TCP, socket.inet_aton(address), port)


class FakeLink:
    """A link process that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[LinkPlan, frozenset[OpenPlace]]] = []
        self.refusals = 0
        self.closed = False

    async def configure(self, plan: LinkPlan, places: frozenset[OpenPlace]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise LinkError(5, "no")
        self.told.append((plan, places))

    def close(self) -> None:
        self.closed = True


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.fixture
async def resources(tmp_path: Path) -> AsyncIterator[Resources]:
    made = Resources(await SqliteStore.open(tmp_path), Vault([os.urandom(32)]))
    await made.load()
    yield made
    await made.close()


@pytest.fixture
async def link(resources: Resources) -> AsyncIterator[FakeLink]:
    made = FakeLink()
    plan = PrivatePlan(resources, made, offload=True)
    plan.start()
    yield made
    await plan.stop()
    assert made.closed


@pytest.mark.parametrize("mode", sorted(MODE.values_by_number))
async def test_what_is_open_is_what_workers_serve(tmp_path: Path, mode: int) -> None:
    settings = Settings(plaintext=True)
    async with world(settings) as base:
        side = PrivateSide(tmp_path / "link", base.replica)
        shares = Shares.of(20_000)
        side.serve(
            base.vigil,
            base.ingress,
            base.freshness,
            base.vigil.serve,
            settings,
            base.sections,
            shares=shares,
        )
        made = placed("wiki.default", "100.64.0.9", 80, mode)
        made.metadata.uid = "uid"
        made.status.addresses[0].dual_stack_ip.ipv6 = "fdee::9"
        base.feed.put(made)
        await base.until(lambda: "uid" in base.replica.services)
        assert side.server is not None
        names = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp"}
        families = {4: socket.AF_INET, 16: socket.AF_INET6}
        opened = {
            (names[each.protocol], families[len(each.address)], each.port)
            for each in places_of(made)
        }
        assert opened == side.server._wanted()
        await side.close(0)


def test_a_service_without_a_port_or_an_address_has_no_place() -> None:
    assert places_of(service(mode=MODES.TCP)) == frozenset()
    assert places_of(placed("a.default", "100.64.0.9", 0)) == frozenset()
    assert places_of(placed("a.default", "100.64.0.9", 70_000)) == frozenset()


async def test_it_follows_the_store(resources: Resources, link: FakeLink) -> None:
    one, other = "100.64.0.9", "100.64.0.10"
    async with resources.transaction() as tx:
        cluster = config()
        cluster.metadata.uid = ""
        cluster.metadata.name = "default"
        tx.create(cluster)
        uid = tx.create(placed("wiki.default", one, 80)).metadata.uid
    await until(lambda: link.told)
    plan, places = link.told[-1]
    assert plan.local_routes == ("100.64.0.0/16", "fdee::/80")
    assert plan.is_listed
    assert places == {tcp(one, 80)}
    async with resources.transaction() as tx:
        tx.create(placed("db.default", other, 5432))
        moved = tx.get(core.Service, uid=uid)
        moved.status.port = 81
        tx.update(moved)
    await until(lambda: link.told[-1][1] == {tcp(one, 81), tcp(other, 5432)})
    number = len(link.told)
    async with resources.transaction() as tx:  # nothing that concerns the network
        renamed = tx.get(core.Service, uid=uid)
        renamed.metadata.display_name = "Wiki"
        tx.update(renamed)
    async with resources.transaction() as tx:
        tx.delete(core.Service, uid)
    await until(lambda: link.told[-1][1] == {tcp(other, 5432)})
    assert len(link.told) == number + 1


async def test_what_is_refused_is_told_again(
    resources: Resources, link: FakeLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octelium.cluster.private_plan._AGAIN", 0.01)
    link.refusals = 2
    async with resources.transaction() as tx:
        cluster = config()
        cluster.metadata.uid = ""
        cluster.metadata.name = "default"
        tx.create(cluster)
    await until(lambda: link.told)
    assert link.refusals == 0


async def test_without_a_network_there_is_no_plan(resources: Resources) -> None:
    door = doors.make("control")
    await follow(resources, door.outer, "own")()
    with pytest.raises(BlockingIOError):
        doors.answer(door.inner)
    door.close()
