from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.apiserver.connect.gateways import prepare
from octelium.apiserver.connect.service_addresses import (
    CONFIG,
    REST,
    Ledger,
    NoAddressLeftError,
    assign,
    assign_missing,
    ledger_of,
)
from octelium.apiserver.core.caller import Caller
from octelium.apiserver.core.kinds.service import RULES
from octelium.apiserver.core.verbs import Verbs
from octelium.policy.checker import Checker
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import StoreUnusable
from tests.apiserver.connect.world import (
    PLAN,
    Clock,
    World,
    create_service,
    open_world,
)

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.store.transaction import Transaction

PER_BLOCK = 239


def delete(tx: Transaction, service: core.Service, caller: core.Session) -> None:
    options = meta.DeleteOptions(uid=service.metadata.uid)
    Verbs(Checker()).delete(tx, RULES, options, Caller(caller.metadata.uid, None, "Delete"))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 900)), max_size=120))
def test_an_address_is_nobody_elses_and_rests(steps: list[tuple[bool, int]]) -> None:
    ledger, now = Ledger(), 0.0
    used: set[int] = set()
    ended: dict[int, float] = {}
    for takes, number in steps:
        now += number
        if takes or not used:
            index = ledger.take("gw", now)
            assert index not in used
            assert 16 <= index % 256 <= 254
            assert ledger.blocks[index // 256] == "gw"
            assert now - ended.get(index, -REST) >= REST
            used.add(index)
        else:
            index = sorted(used)[number % len(used)]
            used.remove(index)
            ledger.free(index, now)
            ended[index] = now
        ledger = Ledger.from_text(ledger.to_text())


def test_another_block_is_taken_when_one_is_full() -> None:
    ledger = Ledger()
    first = [ledger.take("one", 0.0) for _ in range(PER_BLOCK)]
    assert {index // 256 for index in first} == {0}
    other = ledger.take("two", 0.0)
    assert other == 256 + 16
    assert ledger.take("one", 0.0) == 512 + 16
    assert ledger.owned("one") == [0, 2]
    assert ledger.owned("two") == [1]


def test_a_full_block_gives_what_has_rested_before_another_block_is_taken() -> None:
    ledger = Ledger()
    indexes = [ledger.take("gw", 0.0) for _ in range(PER_BLOCK)]
    ledger.free(indexes[5], 100.0)
    ledger.free(indexes[3], 101.0)
    assert ledger.take("gw", 100.0 + REST) == indexes[5]
    assert ledger.take("gw", 100.0 + REST) == 256 + 16


def test_all_blocks_are_61184_addresses_and_then_none() -> None:
    ledger = Ledger()
    found = {ledger.take("gw", 0.0) for _ in range(256 * PER_BLOCK)}
    assert len(found) == 256 * PER_BLOCK
    with pytest.raises(NoAddressLeftError) as caught:
        ledger.take("gw", 0.0)
    assert caught.value.code == "FAILED_PRECONDITION"


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"blocks": {"x": "y"}, "next": {}, "freed": []}']
)
def test_a_damaged_ledger_gives_nothing(text: str) -> None:
    with pytest.raises(StoreUnusable, match="damaged"):
        Ledger.from_text(text)


async def test_a_service_has_its_address_from_the_commit_that_makes_it(world: World) -> None:
    seen: list[list[core.ServiceStatusAddress]] = []
    world.resources.subscribe(
        lambda committed: seen.extend(
            [*change.after.message.status.addresses]
            for change in committed.changes
            if change.kind == "Service" and change.after is not None
        )
    )
    await world.add_service("wiki.default")
    await world.add_service("mail.default")
    assert [[address.dual_stack_ip for address in addresses] for addresses in seen] == [
        [meta.DualStackIp(ipv4="100.64.0.16", ipv6="fdee:1:2:3::10")],
        [meta.DualStackIp(ipv4="100.64.0.17", ipv6="fdee:1:2:3::11")],
    ]


async def test_updates_neither_change_nor_set_addresses(world: World) -> None:
    service = await world.add_service("wiki.default", config={"upstream": {"url": "tcp://h:1"}})
    alice = await world.add_session()
    given_by_caller = core.Service()
    given_by_caller.CopyFrom(service)
    given_by_caller.spec.port = 81
    del given_by_caller.status.addresses[:]
    given_by_caller.status.addresses.add().dual_stack_ip.ipv4 = "100.64.0.99"
    async with world.resources.transaction() as tx:
        caller = Caller(alice.metadata.uid, None, "Update")
        updated = Verbs(Checker()).update(tx, RULES, given_by_caller, caller)
    assert updated.spec.port == 81
    assert [*updated.status.addresses] == [*service.status.addresses]
    given_by_caller.metadata.name = "other.default"
    async with world.resources.transaction() as tx:
        made = Verbs(Checker()).create(tx, RULES, given_by_caller)
    assert made.status.addresses[0].dual_stack_ip.ipv4 == "100.64.0.17"


async def test_a_deleted_services_address_rests(world: World) -> None:
    alice = await world.add_session()
    services = [await world.add_service(f"svc{number}.default") for number in range(PER_BLOCK)]
    await world.write(lambda tx: delete(tx, services[4], alice))
    assert (await world.add_service("a1.default")).status.addresses[0].dual_stack_ip.ipv4 == (
        "100.64.1.16"
    )
    assert len(ledger_of(world.resources).freed) == 1


async def test_what_is_not_committed_takes_no_address(world: World) -> None:
    def fail(tx: Transaction) -> None:
        create_service(tx, "lost.default")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await world.write(fail)
    service = await world.add_service("wiki.default")
    assert service.status.addresses[0].dual_stack_ip.ipv4 == "100.64.0.16"


async def test_services_from_before_the_gateway_get_theirs_at_start(tmp_path: Path) -> None:
    clock = Clock()
    async with open_world(tmp_path, plan=None, clock=clock) as world:
        for name in ("wiki.default", "mail.default"):
            assert not (await world.add_service(name)).status.addresses
        assert await world.write(assign_missing) == 0
        await world.write(lambda tx: prepare(tx, PLAN))
        found = [
            service.status.addresses[0].dual_stack_ip.ipv4
            for service in world.resources.peek_all(core.Service)
        ]
        assert found == ["100.64.0.16", "100.64.0.17"]
        revision = world.resources.revision
        await world.write(lambda tx: prepare(tx, PLAN))
        assert world.resources.revision == revision


async def test_a_service_that_has_one_keeps_it(world: World) -> None:
    service = await world.add_service("wiki.default")
    before = [*service.status.addresses]
    async with world.resources.transaction() as tx:
        assign(tx, service)
    assert [*service.status.addresses] == before


async def test_the_ledger_is_hidden(world: World) -> None:
    config = world.resources.peek(core.Config, name=CONFIG)
    assert config is not None
    assert config.metadata.is_system_hidden
