"""How many connections there may be, and how many of one peer before it is known."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address


def peer_key(address: str) -> str:
    """What counts as one peer: an IPv4 address, or the /64 of an IPv6 address."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        return str(IPv6Address(int(ip) >> 64 << 64))
    return str(ip)


def plain_address(address: str) -> str:
    """An address without zone, IPv4 without its IPv6 mapping."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ip)


class Admission:
    """Counts connections of a process, and the unauthenticated ones of each peer."""

    def __init__(self, max_connections: int, max_unauthenticated: int) -> None:
        self.connections = 0
        self._max_connections = max_connections
        self._max_unauthenticated = max_unauthenticated
        self._unauthenticated: dict[str, int] = {}

    @property
    def unauthenticated(self) -> int:
        """Connections of which no request has been allowed."""
        return sum(self._unauthenticated.values())

    def enter(self) -> Ticket | None:
        """Admit a connection whose peer is not known yet; None if there are too many."""
        if self.connections >= self._max_connections:
            return None
        self.connections += 1
        return Ticket(self)

    def count(self, key: str) -> bool:
        """Count an unauthenticated connection of a peer; false if it has too many."""
        number = self._unauthenticated.get(key, 0)
        if number >= self._max_unauthenticated:
            return False
        self._unauthenticated[key] = number + 1
        return True

    def uncount(self, key: str) -> None:
        """One less of a peer's."""
        number = self._unauthenticated[key] - 1
        if number:
            self._unauthenticated[key] = number
        else:
            del self._unauthenticated[key]


class Ticket:
    """One connection's place."""

    __slots__ = ("_admission", "_key", "_left")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._key: str | None = None
        self._left = False

    def name(self, address: str) -> bool:
        """The peer's address is known; false if it has too many connections already."""
        key = peer_key(address)
        if not self._admission.count(key):
            return False
        self._key = key
        return True

    def authenticated(self) -> None:
        """A request on this connection was allowed."""
        if self._key is not None:
            self._admission.uncount(self._key)
            self._key = None

    def leave(self) -> None:
        """The connection is gone. May be called twice."""
        if not self._left:
            self._left = True
            self.authenticated()
            self._admission.connections -= 1
