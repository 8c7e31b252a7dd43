"""Which resource an address of the private network belongs to.

A tunnel vouches for addresses, so an address that two Sessions claim would let one be taken for
the other. It belongs to the one that claimed it last; what lost an address gets it back only by
claiming it anew.
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOG = logging.getLogger(__name__)

Packed = bytes
"""4 or 16 bytes in network order."""


class Addressed(Protocol):
    """What an index needs of an entry."""

    kind: ClassVar[str]
    uid: str
    name: str
    addresses: tuple[Packed, ...]
    claimed_at: float
    """Unix seconds; settles whose an address is when both claims come with one commit."""


A = TypeVar("A", bound=Addressed)


def packed(address: str) -> Packed | None:
    """The bytes of an address; None for what is none in its usual form.

    A zone, a prefix, an IPv4 address with leading zeros or parts left out, and an IPv4 address
    mapped into IPv6 are no such forms: an address has one reading here.
    """
    try:
        if ":" not in address:
            return socket.inet_pton(socket.AF_INET, address)
        made = socket.inet_pton(socket.AF_INET6, address)
    except (OSError, ValueError):
        return None
    return None if made.startswith(_MAPPED) else made


_MAPPED = bytes(10) + b"\xff\xff"


def text(address: Packed) -> str:
    """The usual form of an address (RFC 5952 for IPv6)."""
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def hosts(owner: str, addresses: Iterable[str]) -> tuple[Packed, ...]:
    """The addresses of a resource, each once; `100.65.0.7/32` is written for a network of one.

    What is no single address is left out and logged: nobody is reached by it, or taken for it.
    """
    made: dict[Packed, None] = {}
    for address in addresses:
        if not address:
            continue
        plain, slash, prefix = address.partition("/")
        known = packed(plain)
        if known is None or (slash and prefix != str(len(known) * 8)):
            _LOG.error("%s has %r, which is no single address", owner, address[:80])
        else:
            made[known] = None
    return tuple(made)


class AddressIndex(Generic[A]):
    """Entries of one kind by address. It follows `put` for every change of an entry."""

    def __init__(self) -> None:
        self._entries: dict[Packed, A] = {}
        self._claimed: dict[Packed, int] = {}
        """The revision with which each address was claimed."""

    def __len__(self) -> int:
        return len(self._entries)

    def at(self, address: Packed | str) -> A | None:
        """The entry that an address belongs to."""
        key = packed(address) if isinstance(address, str) else address
        return None if key is None else self._entries.get(key)

    def put(self, former: A | None, entry: A | None, revision: int) -> None:
        """An entry comes, goes, or takes another's place that has the same uid."""
        before = () if former is None else former.addresses
        after = () if entry is None else entry.addresses
        for address in before:
            holder = self._entries.get(address)
            if address not in after and holder is not None and holder.uid == former.uid:  # type: ignore[union-attr]  # `before` is empty without it
                del self._entries[address]
                del self._claimed[address]
        if entry is None:
            return
        for address in after:
            holder = self._entries.get(address)
            if holder is None or holder.uid == entry.uid:
                if holder is not None or address not in before:
                    self._entries[address] = entry
                    self._claimed.setdefault(address, revision)
            elif address not in before:
                self._settle(address, holder, entry, revision)

    def copy_to(self, other: AddressIndex[A]) -> None:
        """Make an empty index the same."""
        other._entries.update(self._entries)
        other._claimed.update(self._claimed)

    def _settle(self, address: Packed, holder: A, entry: A, revision: int) -> None:
        """Two claim one address."""
        together = self._claimed[address] == revision
        keeps = together and holder.claimed_at > entry.claimed_at
        winner, loser = (holder, entry) if keeps else (entry, holder)
        _LOG.error(
            "%s %s and %s claim the address %s: it is the former's",
            entry.kind,
            winner.name,
            loser.name,
            text(address),
        )
        self._entries[address] = winner
        self._claimed[address] = revision
