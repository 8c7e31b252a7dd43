"""Cryptokey routing: which peer an address belongs to (WireGuard paper, section 2)."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Generic, TypeVar

P = TypeVar("P")
Network = IPv4Network | IPv6Network


class Family(Generic[P]):
    """The networks of one address family.

    `exact` holds the networks of one address, by the address's bytes: the common case, for which
    the caller may look there himself.
    """

    __slots__ = ("_bits", "_lengths", "_wide", "exact")

    def __init__(self, bits: int) -> None:
        self.exact: dict[bytes, P] = {}
        self._bits = bits
        self._wide: dict[int, dict[int, P]] = {}
        self._lengths: list[tuple[int, dict[int, P]]] = []

    def find(self, address: bytes) -> P | None:
        """The owner of the longest prefix that holds `address`."""
        owner = self.exact.get(address)
        if owner is not None or not self._lengths:
            return owner
        number = int.from_bytes(address, "big")
        for shift, networks in self._lengths:
            owner = networks.get(number >> shift)
            if owner is not None:
                return owner
        return None

    def put(self, network: Network, owner: P) -> None:
        """Give `network` to `owner`, whoever had it."""
        if network.prefixlen == self._bits:
            self.exact[network.network_address.packed] = owner
            return
        shift = self._bits - network.prefixlen
        networks = self._wide.get(shift)
        if networks is None:
            networks = self._wide[shift] = {}
            self._lengths = sorted(self._wide.items())
        networks[int(network.network_address) >> shift] = owner

    def drop(self, network: Network) -> None:
        """Nobody's any more; it must be somebody's."""
        if network.prefixlen == self._bits:
            del self.exact[network.network_address.packed]
            return
        shift = self._bits - network.prefixlen
        networks = self._wide[shift]
        del networks[int(network.network_address) >> shift]
        if not networks:
            del self._wide[shift]
            self._lengths = sorted(self._wide.items())


class Routes(Generic[P]):
    """The allowed IPs of all peers; a network has one owner at a time."""

    __slots__ = ("_held", "_owners", "v4", "v6")

    def __init__(self) -> None:
        self.v4: Family[P] = Family(32)
        self.v6: Family[P] = Family(128)
        self._owners: dict[Network, P] = {}
        self._held: dict[P, dict[Network, None]] = {}

    def add(self, network: Network, owner: P) -> None:
        """Give `network` to `owner`; it moves if another one had it."""
        before = self._owners.get(network)
        if before is owner:
            return
        if before is not None:
            del self._held[before][network]
        self._owners[network] = owner
        self._held.setdefault(owner, {})[network] = None
        self._family(network).put(network, owner)

    def remove(self, network: Network, owner: P) -> None:
        """Take `network` from `owner`; nothing happens if it is not theirs."""
        if self._owners.get(network) is not owner:
            return
        del self._owners[network]
        del self._held[owner][network]
        self._family(network).drop(network)

    def clear(self, owner: P) -> None:
        """Take all of `owner`'s networks."""
        for network in self.held(owner):
            self.remove(network, owner)
        self._held.pop(owner, None)

    def held(self, owner: P) -> tuple[Network, ...]:
        """The networks of `owner`, in the order of their coming."""
        return tuple(self._held.get(owner, ()))

    def _family(self, network: Network) -> Family[P]:
        return self.v4 if network.version == 4 else self.v6
