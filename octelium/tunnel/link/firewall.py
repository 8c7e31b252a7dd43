"""nftables in the private network namespace: the second lock behind the engine's source check.

Only packets between the planned ranges, by the TUN device, of protocols that Services have. Nothing
is remembered per flow, so there is nothing that many flows could fill. Fragments are counted, and
put together by the kernel within the bounds that `sysctls` sets; overlapping ones are dropped there
(RFC 5722, RFC 8200 section 4.5).

Of the errors that peers tell (RFC 792, RFC 4443), one passes: that a UDP port is closed at the
sender itself. The kernel would believe what they say of others' packets (RFC 5927), and the tunnel
is one hop of known MTU, of which nothing is to be learned.
"""

from __future__ import annotations

import errno
from ipaddress import ip_network
from typing import TYPE_CHECKING

from octelium.tunnel.link import nft
from octelium.tunnel.link.nft import ACCEPT, DROP, Chain, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from octelium.tunnel.link.plan import FirewallPlan

TABLE = "octelium"
_ROUTING, _FRAGMENT = 43, 44
_TCP, _UDP, _ICMP, _ICMP6 = 6, 17, 1, 58
_ECHO = {_ICMP: (8, 0), _ICMP6: (128, 129)}
_ERRORS = {_ICMP: (3, 11, 12), _ICMP6: (1, 2, 3, 4)}
"""Types that tell of a packet's fate (RFC 792, RFC 4443): unreachable, too big, time, parameter."""
_PORT_UNREACHABLE = {_ICMP: (3, 3), _ICMP6: (1, 4)}
_QUOTED = {_ICMP: (8 + 9, 8 + 16), _ICMP6: (8 + 6, 8 + 24)}
"""Where an error has the protocol and the destination of the packet that it is about."""
_ICMPS = ((_ICMP, 4), (_ICMP6, 6))
_PASSES = (nft.counter(), nft.verdict(ACCEPT))
_TCP_FLAGS, _SYN, _ACK = 13, 0x02, 0x10
_BEFORE_DEFRAGMENTATION = -450
ABSENT = frozenset(
    {errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.ENOENT, errno.EINVAL}
)
"""What a kernel says that lacks nftables, or some part of it."""


class FirewallUnavailableError(Exception):
    """This kernel has no nftables, or not enough of it; the text says what it said."""


def put(plan: FirewallPlan | None, device: str) -> None:
    """Have exactly this firewall in the namespace, from one moment to the next.

    Raises:
        FirewallUnavailableError: there is no nftables; nothing was changed.
        OSError: refused for another reason; nothing was changed.
    """
    try:
        if plan is None:
            nft.delete_table(TABLE)
        else:
            nft.replace_table(TABLE, _CHAINS, list(_rules(plan, device)), compares=True)
    except OSError as error:
        if error.errno in ABSENT:
            raise FirewallUnavailableError(str(error)) from error
        raise


def counters() -> dict[str, int]:
    """Packets by name: `fragments`, `input-tcp`, …, `input-refused` (between ranges that may talk),
    `input-dropped`, `output-dropped`, ….  Empty if there is no firewall.

    Raises:
        OSError: it may not be read.
    """
    return nft.packets(TABLE)


_CHAINS = (
    Chain("fragments", nft.PREROUTING, _BEFORE_DEFRAGMENTATION, ACCEPT),
    Chain("input", nft.INPUT, 0, DROP),
    Chain("forward", nft.FORWARD, 0, DROP),
    Chain("output", nft.OUTPUT, 0, DROP),
    Chain("from-peers"),
    Chain("to-peers"),
)


def _rules(plan: FirewallPlan, device: str) -> Iterator[Rule]:
    for number, fragment in ((4, nft.fragment4()), (6, nft.extension6(_FRAGMENT))):
        parts = (nft.version(number), fragment, nft.counter())
        yield Rule("fragments", "fragments", parts)
    routed = (nft.version(6), nft.extension6(_ROUTING), nft.counter(), nft.verdict(DROP))
    yield Rule("input", "input-dropped", routed)
    for peers, own in _pairs(plan.peers, plan.own):
        arriving = (nft.comes_in_by(device), nft.source_in(peers), nft.destination_in(own))
        yield Rule("input", "input", (*arriving, nft.jump("from-peers")))
        leaving = (nft.goes_out_by(device), nft.source_in(own), nft.destination_in(peers))
        yield Rule("output", "output", (*leaving, nft.jump("to-peers")))
    # In IPv6 these rules see fragments, in IPv4 what they make up. TCP needs none, and they could
    # hide its flags from the next rule.
    pieces = (nft.version(6), nft.extension6(_FRAGMENT), nft.protocol(_TCP))
    yield Rule("from-peers", "input-refused", (*pieces, nft.counter(), nft.verdict(DROP)))
    if not plan.incoming:
        begins = nft.transport_byte(_TCP_FLAGS, _SYN, _SYN | _ACK)
        match = (nft.protocol(_TCP), begins)
        yield Rule("from-peers", "input-refused", (*match, nft.counter(), nft.verdict(DROP)))
    yield from _transports("from-peers", "input")
    yield from _icmp("from-peers", "input", _ECHO)
    yield from closed_ports("from-peers", "input")
    yield from _transports("to-peers", "output")
    yield from _icmp("to-peers", "output", _ECHO)
    yield from _icmp("to-peers", "output", _ERRORS)
    for chain in ("input", "forward", "output"):
        yield Rule(chain, f"{chain}-dropped", (nft.counter(), nft.verdict(DROP)))


def _transports(chain: str, name: str) -> Iterator[Rule]:
    """What may pass between ranges that may talk."""
    for word, number in (("tcp", _TCP), ("udp", _UDP)):
        yield Rule(chain, f"{name}-{word}", (nft.protocol(number), *_PASSES))


def _icmp(chain: str, name: str, types: Mapping[int, Sequence[int]]) -> Iterator[Rule]:
    """Of ICMP and ICMPv6, these types."""
    for number, family in _ICMPS:
        for type_ in types[number]:
            match = (nft.version(family), nft.protocol(number), nft.transport_byte(0, type_))
            yield Rule(chain, f"{name}-icmp", (*match, *_PASSES))


def closed_ports(chain: str, name: str) -> Iterator[Rule]:
    """Port unreachable, about a UDP datagram to the one who says so, with no header in between
    which could lead elsewhere (RFC 8754 section 2). In TCP such a host answers with a reset.
    """
    for number, family in _ICMPS:
        type_, code = _PORT_UNREACHABLE[number]
        said = (nft.transport_byte(0, type_), nft.transport_byte(1, code))
        kind, target = _QUOTED[number]
        about = (nft.transport_byte(kind, _UDP), nft.source_is_at(family, target))
        match = (nft.version(family), nft.protocol(number), *said, *about)
        yield Rule(chain, f"{name}-icmp", (*match, *_PASSES))


def _pairs(peers: Iterable[str], own: Iterable[str]) -> Iterator[tuple[nft.Range, nft.Range]]:
    mine = [ip_network(text) for text in own]
    for text in peers:
        network = ip_network(text)
        for each in mine:
            if each.version == network.version:
                yield network, each
