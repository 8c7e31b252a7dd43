"""Tables, chains and rules of nftables as netlink messages (linux/netfilter/nf_tables.h).

Only what `firewall` needs; the `nft` program, which many machines lack, is not used.
"""

from __future__ import annotations

import struct
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from octelium.tunnel.link.netlink import (
    CREATE,
    NETFILTER,
    Message,
    Netlink,
    attribute,
    attributes,
    nested,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from ipaddress import IPv4Network, IPv6Network

    Range = IPv4Network | IPv6Network

ACCEPT = 1
DROP = 0
PREROUTING, INPUT, FORWARD, OUTPUT = 0, 1, 2, 3
_JUMP = 0xFFFFFFFD
_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEWTABLE, _GETTABLE, _DELTABLE, _NEWCHAIN, _NEWRULE, _GETRULE = 0, 1, 2, 3, 6, 7
_NEWSET, _NEWELEMENTS, _DELELEMENTS = 9, 12, 14
_OWNER = 2
_INET = 1
_GENERAL = struct.Struct("!BBH")
_WORD = struct.Struct("!I")
_APPEND = 0x800
_REGISTER, _VERDICT_REGISTER = 1, 0
_FIRST_WORD = 8
"""The first register of 32 bits; the parts of a set's key are read one after the other from it."""
_FIRST_BYTE, _SECOND_BYTE = 8, 9
_META_L4PROTO, _META_NFPROTO, _META_IIFNAME, _META_OIFNAME = 16, 15, 6, 7
_NETWORK, _TRANSPORT = 1, 2
_EQUAL, _UNEQUAL = 0, 1
_SAME = "same"
_SET_NUMBER = _WORD.pack(1)
_CONSTANT = 2
_ESTABLISHED = struct.pack("=I", 2)  # this key alone is in the host's byte order
# How nft shows a part of a key; two parts are six bits apart.
_ADDRESS_TYPE, _PROTOCOL_TYPE, _PORT_TYPE = {4: 7, 6: 8}, 12, 13
_INVERTED = 1
_MOST_ELEMENTS = 1000
"""In one message: an attribute holds 64 kB."""
_RESET_TCP, _UNREACHABLE = 1, 2
_PORT_UNREACHABLE = 1


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain; with `hook` one that packets enter by themselves, and `policy` for what is left."""

    name: str
    hook: int | None = None
    priority: int = 0
    policy: int = ACCEPT


@dataclass(frozen=True, slots=True)
class Set:
    """A set of keys of a certain `kind`, as nft shows them, and `size` in bytes; with `constant`
    none comes or goes.
    """

    name: str
    kind: int
    size: int
    keys: Sequence[bytes] = ()
    constant: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: expressions in order; `name` is kept with it, and shown by `nft list ruleset`."""

    chain: str
    name: str
    expressions: tuple[bytes, ...]


def replace_table(
    table: str,
    chains: Sequence[Chain],
    rules: Sequence[Rule],
    *,
    compares: bool = False,
    sets: Sequence[Set] = (),
    owner: Netlink | None = None,
) -> None:
    """Put a table of family inet in place of the one of that name, in one transaction. `compares`
    says that some rule has `source_is_at`, `sets` are those that rules name. A table with an
    `owner`, a socket of NETFILTER, is for nobody else to change, and ends with it; Linux has that
    since 5.12.

    Raises:
        NetlinkError: refused, and nothing changed.
        OSError: this kernel has no nftables.
    """
    named = text(1, table)
    new = _message(_NEWTABLE, named + attribute(2, _WORD.pack(_OWNER if owner else 0)), CREATE)
    messages = [
        new,  # so that there is one to delete
        _message(_DELTABLE, named),
        new,
        *(each for one in ((_SAME_BYTES,) if compares else ()) for each in _set(named, one)),
        *(each for one in sets for each in _set(named, one)),
        *(_message(_NEWCHAIN, named + _chain(chain), CREATE) for chain in chains),
        *(_message(_NEWRULE, named + _rule(rule), CREATE | _APPEND) for rule in rules),
    ]
    with nullcontext(owner) if owner else Netlink(NETFILTER) as netlink:
        netlink.batch(_bracket(_BATCH_BEGIN), messages, _bracket(_BATCH_END))


def delete_table(table: str) -> None:
    """Remove a table, if there is one. Raises NetlinkError, OSError."""
    named = text(1, table)
    messages = [_message(_NEWTABLE, named, CREATE), _message(_DELTABLE, named)]
    with Netlink(NETFILTER) as netlink:
        netlink.batch(_bracket(_BATCH_BEGIN), messages, _bracket(_BATCH_END))


def change_sets(
    table: str, removed: Mapping[str, Sequence[bytes]], added: Mapping[str, Sequence[bytes]]
) -> None:
    """Take keys out of sets, by their names, and put others in, in one transaction.

    Raises:
        NetlinkError: refused, such as for a key that is not there; nothing changed.
        OSError: this kernel has no nftables.
    """
    named = text(1, table)
    messages = [
        each
        for kind, flags, sets in ((_DELELEMENTS, 0, removed), (_NEWELEMENTS, CREATE, added))
        for name, keys in sets.items()
        for each in _elements(named, name, keys, kind, flags)
    ]
    if messages:
        with Netlink(NETFILTER) as netlink:
            netlink.batch(_bracket(_BATCH_BEGIN), messages, _bracket(_BATCH_END))


def places(name: str, version: int) -> Set:
    """A set of addresses of a version of IP and ports, for `target_not_in`."""
    kind = _ADDRESS_TYPE[version] << 6 | _PORT_TYPE
    return Set(name, kind, (4 if version == 4 else 16) + 4)


def place(address: bytes, port: int) -> bytes:
    """A key of such a set; each part fills whole registers."""
    return address + struct.pack("!H2x", port)


def ports(name: str) -> Set:
    """A set of ports, for `port_in`; its keys are of two bytes in network order."""
    return Set(name, _PORT_TYPE, 2)


def unowned_tables() -> set[str]:
    """The names of tables of family inet that end with nobody. Raises NetlinkError, OSError."""
    found = set()
    with Netlink(NETFILTER) as netlink:
        for _, body in netlink.dump(_message(_GETTABLE, b"")):
            values = dict(attributes(body[_GENERAL.size :]))
            if not _WORD.unpack(values.get(2, bytes(4)))[0] & _OWNER:
                found.add(values[1].rstrip(b"\0").decode(errors="replace"))
    return found


def packets(table: str) -> dict[str, int]:
    """How many packets each named rule with a counter has seen. Raises NetlinkError, OSError."""
    found: dict[str, int] = {}
    with Netlink(NETFILTER) as netlink:
        for _, body in netlink.dump(_message(_GETRULE, text(1, table))):
            values = dict(attributes(body[_GENERAL.size :]))
            name = _comment(values.get(7, b""))
            for _, expression in attributes(values.get(4, b"")):
                parts = dict(attributes(expression))
                if name and parts.get(1, b"").rstrip(b"\0") == b"counter":
                    seen = int.from_bytes(dict(attributes(parts[2]))[2], "big")
                    found[name] = found.get(name, 0) + seen
    return found


def comes_in_by(device: str) -> bytes:
    """Matches packets that arrive by a device."""
    return _meta(_META_IIFNAME) + _compare(device.encode().ljust(16, b"\0"))


def goes_out_by(device: str) -> bytes:
    """Matches packets that leave by a device."""
    return _meta(_META_OIFNAME) + _compare(device.encode().ljust(16, b"\0"))


def source_in(network: Range) -> bytes:
    """Matches packets from a range."""
    return _address(network, 12 if network.version == 4 else 8)


def destination_in(network: Range) -> bytes:
    """Matches packets to a range."""
    return _address(network, 16 if network.version == 4 else 24)


def protocol(number: int) -> bytes:
    """Matches a transport protocol, whatever IPv6 extension headers are before it."""
    return _meta(_META_L4PROTO) + _compare(bytes([number]))


def version(number: int) -> bytes:
    """Matches IPv4 or IPv6 packets."""
    return _meta(_META_NFPROTO) + _compare(bytes([2 if number == 4 else 10]))


def transport_byte(offset: int, value: int, mask: int = 0xFF) -> bytes:
    """Matches a byte of the transport header; not in fragments other than the first."""
    loaded = _payload(_TRANSPORT, offset, 1)
    return loaded + (_masked(bytes([mask])) if mask != 0xFF else b"") + _compare(bytes([value]))


def transport_port(number: int) -> bytes:
    """Matches the destination port of TCP and UDP; for a rule that has `protocol` before it."""
    return _payload(_TRANSPORT, 2, 2) + _compare(struct.pack("!H", number))


def port_in(name: str) -> bytes:
    """Matches destination ports in a set; for a rule that has `protocol` before it."""
    return _payload(_TRANSPORT, 2, 2) + _lookup(name, _REGISTER)


def target_not_in(name: str, number: int) -> bytes:
    """Matches destinations, address and port, of a version of IP that are in no such place; for a
    rule that has `version` and `protocol` before it.
    """
    start, length = (16, 4) if number == 4 else (24, 16)
    loaded = _payload(_NETWORK, start, length, _FIRST_WORD)
    loaded += _payload(_TRANSPORT, 2, 2, _FIRST_WORD + length // 4)
    return loaded + _lookup(name, _FIRST_WORD, inverted=True)


def refuse_tcp() -> bytes:
    """Ends the walk, and answers as a port where nobody listens (RFC 9293, section 3.5.2)."""
    return _expression("reject", attribute(1, _WORD.pack(_RESET_TCP)))


def refuse_datagram() -> bytes:
    """The same for UDP: port unreachable (RFC 1122, section 4.1.3.1)."""
    said = attribute(1, _WORD.pack(_UNREACHABLE)) + attribute(2, bytes([_PORT_UNREACHABLE]))
    return _expression("reject", said)


def established() -> bytes:
    """Matches packets of connections that have been seen in both directions, or answer one; with
    it, the kernel keeps track of connections (nft(8), CONNTRACK EXPRESSIONS).
    """
    state = attribute(1, _WORD.pack(_REGISTER)) + attribute(2, _WORD.pack(0))
    return _expression("ct", state) + _masked(_ESTABLISHED) + _compare(bytes(4), _UNEQUAL)


def source_is_at(number: int, offset: int) -> bytes:
    """Matches packets of a version of IP whose source is also in the transport header, there.

    A byte at a time is looked up in a set of all pairs of equal bytes: there is no comparison of
    two parts of a packet.
    """
    start, length = (12, 4) if number == 4 else (8, 16)
    parts = [version(number)]
    for each in range(length):
        parts.append(_payload(_NETWORK, start + each, 1, _FIRST_BYTE))
        parts.append(_payload(_TRANSPORT, offset + each, 1, _SECOND_BYTE))
        parts.append(_lookup(_SAME, _FIRST_BYTE))
    return b"".join(parts)


def fragment4() -> bytes:
    """Matches IPv4 fragments: more to come, or an offset (RFC 791 section 3.1)."""
    return _payload(_NETWORK, 6, 2) + _masked(b"\x3f\xff") + _compare(b"\0\0", _UNEQUAL)


def extension6(number: int) -> bytes:
    """Matches IPv6 packets with an extension header of that kind, wherever (RFC 8200 section 4)."""
    present = attribute(1, _WORD.pack(_REGISTER)) + attribute(2, bytes([number]))
    present += attribute(3, _WORD.pack(0)) + attribute(4, _WORD.pack(1))
    present += attribute(5, _WORD.pack(1))  # NFT_EXTHDR_F_PRESENT: is it there?
    return _expression("exthdr", present) + _compare(b"\1")


def counter() -> bytes:
    """Counts the packets that get so far."""
    return _expression("counter", attribute(1, bytes(8)) + attribute(2, bytes(8)))


def verdict(code: int) -> bytes:
    """Ends the walk with ACCEPT or DROP."""
    return _immediate(attribute(1, _WORD.pack(code)))


def jump(chain: str) -> bytes:
    """Goes through another chain, and comes back if that decides nothing."""
    return _immediate(attribute(1, _WORD.pack(_JUMP)) + text(2, chain))


def _bracket(kind: int) -> Message:
    return Message(kind, _GENERAL.pack(0, 0, _SUBSYSTEM))


def _message(kind: int, body: bytes, flags: int = 0) -> Message:
    return Message(_SUBSYSTEM << 8 | kind, _GENERAL.pack(_INET, 0, 0) + body, flags)


_SAME_BYTES = Set(
    _SAME,
    _PROTOCOL_TYPE << 6 | _PROTOCOL_TYPE,
    8,
    [bytes([each, 0, 0, 0]) * 2 for each in range(256)],
    constant=True,
)
"""What `source_is_at` looks into; each part of a key fills a register."""


def _set(named: bytes, one: Set) -> Iterator[Message]:
    values = (_CONSTANT if one.constant else 0, one.kind, one.size)
    made = text(2, one.name)
    made += b"".join(attribute(each, _WORD.pack(value)) for each, value in enumerate(values, 3))
    yield _message(_NEWSET, named + made + attribute(10, _SET_NUMBER), CREATE)
    yield from _elements(named, one.name, one.keys, _NEWELEMENTS, CREATE)


def _elements(
    named: bytes, name: str, keys: Sequence[bytes], kind: int, flags: int
) -> Iterator[Message]:
    for start in range(0, len(keys), _MOST_ELEMENTS):
        some = keys[start : start + _MOST_ELEMENTS]
        listed = nested(3, *(nested(1, nested(1, attribute(1, key))) for key in some))
        yield _message(kind, named + text(2, name) + listed, flags)


def _lookup(name: str, register: int, *, inverted: bool = False) -> bytes:
    asked = text(1, name) + attribute(2, _WORD.pack(register))
    return _expression("lookup", asked + attribute(5, _WORD.pack(_INVERTED if inverted else 0)))


def _chain(chain: Chain) -> bytes:
    parts = text(3, chain.name)
    if chain.hook is not None:
        where = attribute(1, _WORD.pack(chain.hook))
        where += attribute(2, struct.pack("!i", chain.priority))
        parts += nested(4, where) + attribute(5, _WORD.pack(chain.policy)) + text(7, "filter")
    return parts


def _rule(rule: Rule) -> bytes:
    name = rule.name.encode() + b"\0"
    comment = bytes([0, len(name)]) + name  # as nft keeps comments: type, length, C string
    return text(2, rule.chain) + nested(4, *rule.expressions) + attribute(7, comment)


def _comment(data: bytes) -> str:
    if len(data) < 3 or data[0] != 0:
        return ""
    return data[2 : 2 + data[1]].rstrip(b"\0").decode(errors="replace")


def _expression(name: str, data: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, data))


def _meta(key: int) -> bytes:
    return _expression("meta", attribute(1, _WORD.pack(_REGISTER)) + attribute(2, _WORD.pack(key)))


def _payload(base: int, offset: int, length: int, register: int = _REGISTER) -> bytes:
    values = (register, base, offset, length)
    parts = (attribute(kind, _WORD.pack(value)) for kind, value in enumerate(values, 1))
    return _expression("payload", b"".join(parts))


def _masked(mask: bytes) -> bytes:
    values = (_REGISTER, _REGISTER, len(mask))
    parts = [attribute(kind, _WORD.pack(value)) for kind, value in enumerate(values, 1)]
    data = nested(4, attribute(1, mask)) + nested(5, attribute(1, bytes(len(mask))))
    return _expression("bitwise", b"".join(parts) + data)


def _compare(value: bytes, how: int = _EQUAL) -> bytes:
    parts = attribute(1, _WORD.pack(_REGISTER)) + attribute(2, _WORD.pack(how))
    return _expression("cmp", parts + nested(3, attribute(1, value)))


def _address(network: Range, offset: int) -> bytes:
    whole = network.max_prefixlen // 8
    match = version(network.version) + _payload(_NETWORK, offset, whole)
    match += _masked(network.netmask.packed)
    return match + _compare(network.network_address.packed)


def _immediate(data: bytes) -> bytes:
    register = attribute(1, _WORD.pack(_VERDICT_REGISTER))
    return _expression("immediate", register + nested(2, nested(2, data)))
