"""nftables in the private network namespace: the second lock behind the engine's source check.

Only packets between the planned ranges, by the TUN device, of protocols that Services have, and to
places that are listed: a port of one address is not open at another one's. Nothing is remembered
per flow, so there is nothing that many flows could fill. Fragments are counted, and put together by
the kernel within the bounds that `sysctls` sets; overlapping ones are dropped there (RFC 5722,
RFC 8200 section 4.5).

Of the errors that peers tell (RFC 792, RFC 4443), one passes: that a UDP port is closed at the
sender itself. The kernel would believe what they say of others' packets (RFC 5927), and the tunnel
is one hop of known MTU, of which nothing is to be learned.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

from octelium.tunnel.link import nft
from octelium.tunnel.link.nft import ACCEPT, DROP, Chain, Rule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from octelium.tunnel.link.open_places import OpenPlace
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
_AT_ONCE = 4000
"""Changes of sets in one transaction: what a socket's buffer holds of messages."""
_PLACES = {(_TCP, 4): "tcp4", (_TCP, 6): "tcp6", (_UDP, 4): "udp4", (_UDP, 6): "udp6"}
_DATAGRAM_PORTS = "udp-ports"
_SETS = (
    *(nft.places(name, version) for (_, version), name in _PLACES.items()),
    nft.ports(_DATAGRAM_PORTS),
)
ABSENT = frozenset(
    {errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.ENOENT, errno.EINVAL}
)
"""What a kernel says that lacks nftables, or some part of it."""


class FirewallUnavailableError(Exception):
    """This kernel has no nftables, or not enough of it; the text says what it said."""


def put(
    plan: FirewallPlan | None, device: str, places: Collection[OpenPlace] = frozenset()
) -> None:
    """Have exactly this firewall in the namespace, from one moment to the next. `places` are those
    that peers may begin to talk to, if the plan has them listed; of very many, some come after.

    Raises:
        FirewallUnavailableError: there is no nftables; nothing was changed.
        OSError: refused for another reason; nothing was changed.
    """
    try:
        if plan is None:
            nft.delete_table(TABLE)
        else:
            listed = sorted(places) if plan.listed else []
            first = frozenset(listed[:_AT_ONCE])
            _replace(plan, device, first)
            change_places(first, frozenset(listed))
    except OSError as error:
        if error.errno in ABSENT:
            raise FirewallUnavailableError(str(error)) from error
        raise


def _replace(plan: FirewallPlan, device: str, places: frozenset[OpenPlace]) -> None:
    keys = _keys(places)
    sets = [replace(each, keys=sorted(keys[each.name])) for each in _SETS if plan.listed]
    try:
        rules = list(_rules(plan, device, refuses=True))
        nft.replace_table(TABLE, _CHAINS, rules, compares=True, sets=sets)
    except OSError as error:
        if not plan.listed or error.errno not in ABSENT:
            raise
        # A kernel that has nftables without answers of its own (CONFIG_NFT_REJECT).
        rules = list(_rules(plan, device, refuses=False))
        nft.replace_table(TABLE, _CHAINS, rules, compares=True, sets=sets)


def change_places(before: frozenset[OpenPlace], after: frozenset[OpenPlace]) -> None:
    """Have other places open. What is to be shut is shut first; up to thousands of changes count
    together.

    Raises:
        OSError: refused; what is open is not known then.
    """
    was, will = _keys(before), _keys(after)
    removed = [(name, key) for name in was for key in sorted(was[name] - will[name])]
    added = [(name, key) for name in will for key in sorted(will[name] - was[name])]
    while removed or added:
        fewer, removed = removed[:_AT_ONCE], removed[_AT_ONCE:]
        room = _AT_ONCE - len(fewer)
        more, added = added[:room], added[room:]
        nft.change_sets(TABLE, _by_name(fewer), _by_name(more))


def _by_name(keys: Iterable[tuple[str, bytes]]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for name, key in keys:
        found.setdefault(name, []).append(key)
    return found


def _keys(places: Iterable[OpenPlace]) -> dict[str, set[bytes]]:
    """What is in each set."""
    found: dict[str, set[bytes]] = {each.name: set() for each in _SETS}
    for each in places:
        version = 4 if len(each.address) == 4 else 6
        found[_PLACES[each.protocol, version]].add(nft.place(each.address, each.port))
        if each.protocol == _UDP:
            found[_DATAGRAM_PORTS].add(each.port.to_bytes(2, "big"))
    return found


def counters() -> dict[str, int]:
    """Packets by name: `fragments`, `input-tcp`, …, `input-refused` (between ranges that may talk),
    `input-closed` (to places that are not listed), `input-dropped`, `output-dropped`, ….  Empty if
    there is no firewall.

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


def _rules(plan: FirewallPlan, device: str, *, refuses: bool) -> Iterator[Rule]:
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
    if plan.listed:
        yield from _closed(refuses=refuses)
    yield from _transports("from-peers", "input")
    yield from _icmp("from-peers", "input", _ECHO)
    yield from closed_ports("from-peers", "input")
    yield from _transports("to-peers", "output")
    yield from _icmp("to-peers", "output", _ECHO)
    yield from _icmp("to-peers", "output", _ERRORS)
    for chain in ("input", "forward", "output"):
        yield Rule(chain, f"{chain}-dropped", (nft.counter(), nft.verdict(DROP)))


def _closed(*, refuses: bool) -> Iterator[Rule]:
    """What peers may not begin: TCP connections to other places than those listed, and datagrams to
    a port that some other address has. Answers to this side's own datagrams go to other ports.
    """
    begins = nft.transport_byte(_TCP_FLAGS, _SYN, _SYN | _ACK)
    served = nft.port_in(_DATAGRAM_PORTS)
    for (number, version), name in _PLACES.items():
        if number == _TCP:
            asks, answer = begins, nft.refuse_tcp()
        else:
            asks, answer = served, nft.refuse_datagram()
        match = (nft.version(version), nft.protocol(number), asks)
        end = (nft.counter(), answer if refuses else nft.verdict(DROP))
        closed = nft.target_not_in(name, version)
        yield Rule("from-peers", "input-closed", (*match, closed, *end))


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
