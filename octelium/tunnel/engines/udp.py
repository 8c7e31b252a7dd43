"""A UDP socket of an engine: many datagrams a system call (udp(7), UDP_GRO and UDP_SEGMENT)."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections import deque
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections import Counter

    from octelium.tunnel.wireguard import Burst, Endpoint

BUFFER: Final = 4 << 20
"""Bytes that the kernel may hold in each direction, if it lets us: 30 ms of a gigabit."""
MOST_WAITING: Final = 1024
"""Bursts that wait for a socket that is full; more are dropped, the newest."""
_READS: Final = 24
"""Calls of one turn; each may bring 64 datagrams."""
_ENOUGH: Final = 512
"""Datagrams after which a turn ends."""
_UDP_SEGMENT: Final = 103
_UDP_GRO: Final = 104
_IP_MTU_DISCOVER: Final = 10
_IP_PMTUDISC_DONT: Final = 0
_SO_RCVBUFFORCE: Final = 33
_SO_SNDBUFFORCE: Final = 32
_LONGEST: Final = 65_535
_SIZE = struct.Struct("=H").pack
_CONTROL: Final = socket.CMSG_SPACE(4) + socket.CMSG_SPACE(20)
_IP_PKTINFO: Final = 8
_IPV6_PKTINFO: Final = 50
_MOST_SOURCES: Final = 16_384
"""Peers' places for which the own address is kept; the oldest give way."""
_NO_SEGMENTS: Final = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP})
"""What the kernel says of a burst that it cannot cut: no checksums in hardware, or too long."""


_NOT_FROM_HERE: Final = frozenset(
    {errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENODEV}
)
"""What the kernel says of an own address that is no more, or not on the way there."""
_Control = tuple[int, int, bytes]


class UdpPort:
    """A bound UDP socket, whoever bound it.

    With `answers_from` datagrams to a place leave from the address that it last sent to (ip(7),
    IP_PKTINFO): what comes from another address of ours does not pass the other side's NAT.

    Attributes:
        waiting: bursts that the kernel had no room for.
        drained: whether the last `receive` left nothing.
    """

    __slots__ = (
        "_answers_from",
        "_counters",
        "_mapped",
        "_segments",
        "_sources",
        "drained",
        "family",
        "socket",
        "waiting",
    )

    def __init__(
        self, bound: socket.socket, counters: Counter[str], *, answers_from: bool = False
    ) -> None:
        self.socket = bound
        self.family = bound.family
        self.waiting: deque[Burst] = deque()
        self.drained = True
        self._counters = counters
        bound.setblocking(False)
        enlarge(bound)
        if bound.family == socket.AF_INET:
            # Fragments are better than nothing on paths with a small MTU, and as in the kernel's.
            bound.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)
        self._answers_from = answers_from
        self._sources: dict[Endpoint, _Control] = {}
        if answers_from and bound.family == socket.AF_INET:
            bound.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        elif answers_from:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        self._segments = self._has(_UDP_SEGMENT, 0)
        self._has(_UDP_GRO, 1)
        self._mapped = bound.family == socket.AF_INET6 and not bound.getsockopt(
            socket.IPPROTO_IPV6, socket.IPV6_V6ONLY
        )

    @property
    def takes_ipv4(self) -> bool:
        """Whether IPv4 goes through it, be it mapped into IPv6 (RFC 4291, section 2.5.5.2)."""
        return self.family == socket.AF_INET or self._mapped

    def own_address(self, place: Endpoint) -> str:
        """The address of ours that a place last sent to; empty if not known."""
        source = self._sources.get(place)
        if source is None:
            return ""
        level, _, value = source
        if level == socket.IPPROTO_IP:
            return socket.inet_ntoa(value[4:8])
        address = ip_address(value[:16])
        assert isinstance(address, IPv6Address)
        return str(address.ipv4_mapped or address)

    def answer_from(self, place: Endpoint, address: str) -> None:
        """Send from an address of ours to a place that has not sent anything to another one yet."""
        if not self._answers_from or place in self._sources:
            return
        given = ip_address(address)
        if self.family == socket.AF_INET6:
            mapped = address if given.version == 6 else f"::ffff:{address}"
            value = IPv6Address(mapped).packed + bytes(4)
            self._remember(place, (socket.IPPROTO_IPV6, _IPV6_PKTINFO, value))
        elif given.version == 4:
            value = bytes(4) + given.packed + bytes(4)
            self._remember(place, (socket.IPPROTO_IP, _IP_PKTINFO, value))

    def receive(self) -> list[tuple[memoryview, Endpoint]]:
        """Datagrams that are there, a bounded number of them, and their sources."""
        found: list[tuple[memoryview, Endpoint]] = []
        receive = self.socket.recvmsg
        counters = self._counters
        self.drained = False
        for _ in range(_READS):
            try:
                data, control, _, source = receive(_LONGEST, _CONTROL)
            except BlockingIOError:
                self.drained = True
                break
            except OSError as error:  # of a datagram sent before, such as ECONNREFUSED
                self._count("udp_receive", error)
                continue
            size = len(data)
            view = memoryview(data)
            segment = size
            for level, kind, value in control:
                if level == socket.IPPROTO_UDP and kind == _UDP_GRO:
                    segment = int.from_bytes(value[:4], sys.byteorder) or size
                elif level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                    # The interface is left open, as routes may change.
                    self._remember(source, (level, kind, bytes(4) + value[4:8] + bytes(4)))
                elif level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
                    # A link-local address needs its interface, which the place has too.
                    self._remember(source, (level, kind, value[:16] + bytes(4)))
            counters["udp_received_calls"] += 1
            if segment >= size:
                found.append((view, source))
            else:
                found += [(view[at : at + segment], source) for at in range(0, size, segment)]
            if len(found) >= _ENOUGH:
                break
        counters["udp_received"] += len(found)
        return found

    def send(self, burst: Burst) -> None:
        """Send, or let it wait if the kernel has no room; what cannot be sent is counted."""
        if self.waiting:
            self._wait(burst)
            return
        rest = self._try(burst)
        if rest is not None:
            self._wait(rest)

    def flush(self) -> None:
        """Send what waits, as far as there is room."""
        while self.waiting:
            rest = self._try(self.waiting[0])
            if rest is not None:
                self.waiting[0] = rest
                return
            self.waiting.popleft()

    def _wait(self, burst: Burst) -> None:
        if len(self.waiting) < MOST_WAITING:
            self.waiting.append(burst)
        else:
            self._counters["udp_dropped"] += len(burst[1])

    def _try(self, burst: Burst) -> Burst | None:
        """Send a burst; what is left of it if there is no room."""
        endpoint, datagrams = burst
        counters = self._counters
        source = self._sources.get(endpoint)
        here = [] if source is None else [source]
        if self._segments and len(datagrams) > 1:
            control = [(socket.IPPROTO_UDP, _UDP_SEGMENT, _SIZE(len(datagrams[0]))), *here]
            try:
                self.socket.sendmsg(datagrams, control, 0, endpoint)
            except BlockingIOError:
                return burst
            except OSError as error:
                if here and error.errno in _NOT_FROM_HERE:
                    del self._sources[endpoint]
                    return self._try(burst)
                if error.errno not in _NO_SEGMENTS:
                    self._count("udp_send", error, len(datagrams))
                    return None
                counters["udp_unsegmented"] += 1
                # EIO: the way out has no checksums in hardware, now or ever (udp(7)).
                self._segments = error.errno != errno.EIO
            else:
                counters["udp_sent"] += len(datagrams)
                return None
        for number, datagram in enumerate(datagrams):
            try:
                self.socket.sendmsg((datagram,), here, 0, endpoint)
            except BlockingIOError:
                return endpoint, datagrams[number:]
            except OSError as error:
                if here and error.errno in _NOT_FROM_HERE:
                    del self._sources[endpoint]
                    return self._try((endpoint, datagrams[number:]))
                self._count("udp_send", error)
            else:
                counters["udp_sent"] += 1
        return None

    def _remember(self, place: Endpoint, source: _Control) -> None:
        if self._sources.get(place) != source:
            if len(self._sources) >= _MOST_SOURCES:
                del self._sources[next(iter(self._sources))]
            self._sources[place] = source

    def _count(self, what: str, error: OSError, number: int = 1) -> None:
        name = errno.errorcode.get(error.errno or 0, "unknown")
        self._counters[f"{what}_{name}"] += number

    def _has(self, option: int, value: int) -> bool:
        """Whether the kernel knows an option; it came with Linux 4.18, and 5.0."""
        try:
            self.socket.setsockopt(socket.IPPROTO_UDP, option, value)
        except OSError:
            self._counters["udp_without_offload"] += 1
            return False
        return True


def enlarge(bound: socket.socket) -> None:
    """Let the kernel hold BUFFER bytes each way, or as many as it grants (socket(7)).

    Whoever bound the socket may have been granted more than we are, and a plain setting would take
    that away; what it comes to is tried on another socket first.
    """
    for option, force in (
        (socket.SO_RCVBUF, _SO_RCVBUFFORCE),
        (socket.SO_SNDBUF, _SO_SNDBUFFORCE),
    ):
        before = bound.getsockopt(socket.SOL_SOCKET, option)
        if before >= 2 * BUFFER:  # the kernel tells twice of what was set
            continue
        try:
            bound.setsockopt(socket.SOL_SOCKET, force, BUFFER)
        except PermissionError:
            with socket.socket(bound.family, socket.SOCK_DGRAM) as tried:
                tried.setsockopt(socket.SOL_SOCKET, option, BUFFER)
                granted = tried.getsockopt(socket.SOL_SOCKET, option)
            if granted > before:
                bound.setsockopt(socket.SOL_SOCKET, option, BUFFER)
