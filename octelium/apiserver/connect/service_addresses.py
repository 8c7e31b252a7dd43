"""Virtual addresses of Services: one per family, for life, from blocks that Gateways own.

A block is a /24 and a /112. Its first 16 addresses are reserved, as Octelium's Gateways have them,
and its last one, which IPv4 takes for a broadcast. What is taken stands in a Config of the
Cluster's own and changes in the transaction that creates or deletes the Service.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from octelium.apiserver.connect.network import network_of
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.errors import StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.apiserver.connect.network import Network
    from octelium.store.reading import Reader
    from octelium.store.transaction import Transaction

CONFIG: Final = "sys:service-addresses"
"""The Config that tells which blocks are whose and what is free."""
REST: Final = 600.0
"""Seconds between a Service's end and the next use of its address."""

_BLOCKS: Final = 256
_FIRST: Final = 16
_LAST: Final = 254


class NoAddressLeftError(StoreUnusable):
    """Every address for Services is in use."""


@dataclass(slots=True)
class Ledger:
    """Who has what. Addresses are indexes: block * 256 + host."""

    blocks: dict[int, str] = field(default_factory=dict)
    """The Gateway, by uid, that owns a block, by the block's number."""
    next: dict[str, int] = field(default_factory=dict)
    """The first index that was never used in the newest block of a Gateway."""
    freed: list[tuple[int, float]] = field(default_factory=list)
    """Indexes that were used once, and when they became free, in that order."""

    def take(self, gateway: str, now: float) -> int:
        """An index of one of the Gateway's blocks; it gets another block when all are full.

        Raises:
            NoAddressLeftError: there is no block left.
        """
        fresh = self.next.get(gateway)
        if fresh is None or fresh % _BLOCKS > _LAST:
            for place, (index, at) in enumerate(self.freed):
                if at + REST > now:
                    break
                if self.blocks.get(index // 256) == gateway:
                    del self.freed[place]
                    return index
            fresh = self.own(gateway) * 256 + _FIRST
        self.next[gateway] = fresh + 1
        return fresh

    def own(self, gateway: str) -> int:
        """Give the lowest block that is nobody's to a Gateway; its number.

        Raises:
            NoAddressLeftError: there is none.
        """
        for number in range(_BLOCKS):
            if number not in self.blocks:
                self.blocks[number] = gateway
                return number
        raise NoAddressLeftError(
            "every address for Services is in use: delete Services that nobody needs"
        )

    def free(self, index: int, now: float) -> None:
        """The Service that had an index is gone."""
        self.freed.append((index, now))

    def owned(self, gateway: str) -> list[int]:
        """The blocks of a Gateway."""
        return sorted(number for number, owner in self.blocks.items() if owner == gateway)

    def to_text(self) -> str:
        """As `from_text` reads it."""
        blocks = {str(number): owner for number, owner in self.blocks.items()}
        return json.dumps({"blocks": blocks, "next": self.next, "freed": self.freed})

    @classmethod
    def from_text(cls, text: str) -> Ledger:
        """Read what `to_text` wrote.

        Raises:
            StoreUnusable: it is something else.
        """
        try:
            value = json.loads(text)
            return cls(
                {int(number): str(owner) for number, owner in value["blocks"].items()},
                {str(gateway): int(index) for gateway, index in value["next"].items()},
                [(int(index), float(at)) for index, at in value["freed"]],
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreUnusable(f"Config {CONFIG} is damaged: restore a backup") from error


def ledger_of(reader: Reader) -> Ledger:
    """The ledger in the store; an empty one before the first Gateway.

    Raises:
        StoreUnusable: it is damaged.
    """
    config = reader.find(core.Config, name=CONFIG)
    return Ledger() if config is None else Ledger.from_text(config.data.value)


def put_ledger(tx: Transaction, ledger: Ledger) -> None:
    """Store the ledger."""
    config = tx.find(core.Config, name=CONFIG)
    if config is not None:
        config.data.value = ledger.to_text()
        tx.update(config)
        return
    config = core.Config(api_version="core/v1", kind="Config")
    config.metadata.name = CONFIG
    config.metadata.is_system = config.metadata.is_system_hidden = True
    config.spec.SetInParent()
    config.status.SetInParent()
    config.data.value = ledger.to_text()
    tx.create(config)


def cidrs(reader: Reader, network: Network) -> Mapping[str, list[str]]:
    """By Gateway uid, the networks behind it."""
    ledger = ledger_of(reader)
    return {
        owner: network.blocks(ledger.owned(owner)) for owner in sorted(set(ledger.blocks.values()))
    }


def assign(tx: Transaction, service: core.Service) -> None:
    """Give a Service that is about to be created its address; none while there is no Gateway.

    Raises:
        NoAddressLeftError: every address is in use.
    """
    place = _place(tx)
    if place is None or service.status.addresses:
        return
    network, gateway = place
    ledger = ledger_of(tx)
    _give(service, network, ledger.take(gateway, tx.at))
    put_ledger(tx, ledger)


def release(tx: Transaction, service: core.Service) -> None:
    """Let the address of a Service that is about to be deleted rest."""
    place = _place(tx)
    if place is None:
        return
    ledger = ledger_of(tx)
    for address in service.status.addresses:
        index = place[0].service_index(address.dual_stack_ip)
        if index is not None:
            ledger.free(index, tx.at)
    put_ledger(tx, ledger)


def assign_missing(tx: Transaction) -> int:
    """Give every Service that has no address one; how many there were.

    Raises:
        NoAddressLeftError: every address is in use.
    """
    place = _place(tx)
    if place is None:
        return 0
    network, gateway = place
    without = [found for found in tx.list(core.Service) if not found.status.addresses]
    if without:
        ledger = ledger_of(tx)
        for service in without:
            _give(service, network, ledger.take(gateway, tx.at))
            tx.update(service)
        put_ledger(tx, ledger)
    return len(without)


def _give(service: core.Service, network: Network, index: int) -> None:
    service.status.addresses.add().dual_stack_ip.CopyFrom(network.service(index))


def _place(tx: Transaction) -> tuple[Network, str] | None:
    """The plan, and the Gateway that new Services are behind: the oldest."""
    config = tx.peek(core.ClusterConfig, name="default")
    network = None if config is None else network_of(config)
    gateway = next(iter(tx.peek_all(core.Gateway)), None)
    if network is None or gateway is None:
        return None
    return network, gateway.metadata.uid
