"""The Cluster's own names: every spelling of a Service, both families, and the way back.

| name | Service |
|---|---|
| `local.DOMAIN`, `DOMAIN.local`, `local` | `default.default` |
| `x` below one of these | `x.default`, else `default.x` |
| `x.ns` below one of these | `x.ns` |
| more labels below one of these | as the last two |
| `x` alone | `x.default`, if there is one |
| `x.ns` alone | `x.ns`, if there is one and `ns` is not a public top-level domain |

What is below the Cluster's suffixes is answered here, whatever the type, and never forwarded,
save for domains below `local` that a zone of the ClusterConfig names.
https://octelium.com/docs/octelium/latest/management/core/service/overview describes the names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.replica.addresses import text as address_text
from octelium.schema.names import DEFAULT_NAMESPACE, private_fqdn
from octelium.vigil.dns.top_level import is_top_level
from octelium.vigil.dns.wire import (
    NOERROR,
    NXDOMAIN,
    Answer,
    labels_of,
    record,
    text_name,
    wire_name,
)
from octelium.vigil.dns.zones import (
    LOCAL,
    Labels,
    ReverseZones,
    Suffixes,
    domain_labels,
    is_reverse_part,
    networks_of,
    packed_address,
)

if TYPE_CHECKING:
    from octelium.replica.replica import Replica, ServiceEntry

TTL: Final = 30
"""Seconds that addresses may be kept. They are a Service's for life, and rest before another gets
them; so short, because a deleted Service should not seem to be there for long."""
NEGATIVE_TTL: Final = 5
"""Seconds that "no such name" may be kept: people ask for a Service before they have made it."""

ANY: Final = 255
"""The type of questions for everything."""

_A, _NS, _SOA, _PTR, _HINFO, _AAAA = 1, 2, 6, 12, 13, 28
_SOA_TIMES: Final = (3600, 600, 86400, NEGATIVE_TTL)
_SERVER: Final = "dns.octelium"
_HINFO_DATA: Final = b"\x07RFC8482\x00"
_REMEMBERED: Final = 4096
_CHANGES: Final = frozenset({"Service", "Namespace", "ClusterConfig"})


class ClusterNames:
    """Answers from a replica; follows it until `close`."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._answers: dict[tuple[bytes, int], Answer | None] = {}
        self._suffixes = Suffixes(())
        self._reverse = ReverseZones(())
        self._domain = ""
        self._soa = b""
        self._server = b""
        self._describe()
        replica.listeners.append(self._changed)

    def close(self) -> None:
        """Stop following the replica."""
        self._replica.listeners.remove(self._changed)

    def find(self, name: bytes, kind: int) -> Answer | None:
        """The answer to a question of class IN, or None if it is not the Cluster's to give.

        `name` is in wire form and lower case.
        """
        key = (name, kind)
        try:
            return self._answers[key]
        except KeyError:
            answer = self._find(labels_of(name), kind)
        if len(self._answers) >= _REMEMBERED:
            self._answers.clear()
        self._answers[key] = answer
        return answer

    def owns(self, name: Labels) -> bool:
        """Whether a name, in lower case, is below one of the Cluster's suffixes."""
        return self._suffixes.split(name) is not None

    def _changed(self, changed: frozenset[tuple[str, str]]) -> None:
        kinds = {kind for kind, _ in changed}
        if not _CHANGES.isdisjoint(kinds):
            self._answers.clear()
            self._describe()

    def _describe(self) -> None:
        """Take over what the ClusterConfig says, and the revision for serial numbers."""
        config = self._replica.cluster_config
        domain = "" if config is None else config.domain
        if config is not None:
            self._reverse = ReverseZones(networks_of(config.message.status))
        self._domain = domain
        zones = () if config is None else config.message.spec.dns.zones
        declared = {domain_labels(one) for zone in zones for one in zone.domains}
        elsewhere = frozenset(one for one in declared if one[-1:] == (LOCAL,) and one[1:])
        self._suffixes = Suffixes(domain_labels(domain), elsewhere)
        self._server = wire_name(_labels(private_fqdn(_SERVER, domain)))
        numbers = (self._replica.revision & 0xFFFFFFFF, *_SOA_TIMES)
        self._soa = b"".join(
            (
                self._server,
                wire_name((b"hostmaster", *domain_labels(domain))),
                *(number.to_bytes(4, "big") for number in numbers),
            )
        )

    # --- forward

    def _find(self, name: Labels, kind: int) -> Answer | None:
        split = self._suffixes.split(name)
        if split is None:
            size = self._reverse.zone(name)
            return self._find_address(name, kind, size) if size else self._find_bare(name, kind)
        rest, size = split
        service = self._service(rest)
        exists = service is not None or not rest
        if not exists and len(rest) == 1:
            exists = rest[0].decode("ascii", "replace") in self._replica.namespaces_by_name
        if not exists and size == 1:
            exists = self._suffixes.is_between(rest)
        return self._answer(name, kind, service, exists=exists, size=size)

    def _find_bare(self, name: Labels, kind: int) -> Answer | None:
        """A name without any suffix, which is the Cluster's only if there is such a Service."""
        if not 0 < len(name) <= 2:
            return None
        if len(name) == 2 and is_top_level(name[1]):
            return None
        service = self._named(name if len(name) == 2 else (*name, DEFAULT_NAMESPACE.encode()))
        if service is None:
            return None
        return self._answer(name, kind, service, exists=True, size=1)

    def _service(self, rest: Labels) -> ServiceEntry | None:
        default = DEFAULT_NAMESPACE.encode()
        if not rest:
            return self._named((default, default))
        if len(rest) == 1:
            return self._named((*rest, default)) or self._named((default, *rest))
        return self._named(rest[-2:])

    def _named(self, labels: Labels) -> ServiceEntry | None:
        # What is in no name of a Service, a dot within a label too, finds none.
        name = b".".join(labels).decode("ascii", "replace")
        return self._replica.service_by_name.get(name)

    def _answer(
        self, name: Labels, kind: int, service: ServiceEntry | None, *, exists: bool, size: int
    ) -> Answer:
        """`size` is the number of labels of the zone that the name is in."""
        if not exists:
            return self._nothing(name, size, NXDOMAIN)
        if len(name) == size and kind in (_SOA, _NS):
            return self._apex(kind)
        if kind == ANY:
            return minimal(authoritative=True)
        if service is not None and kind in (_A, _AAAA):
            length = 4 if kind == _A else 16
            found = [address for address in service.addresses if len(address) == length]
            if found:
                records = b"".join(record(0, kind, TTL, address) for address in found)
                return Answer(NOERROR, records, (len(found), 0), True, text=address_text(found[0]))
        return self._nothing(name, size, NOERROR)

    # --- back

    def _find_address(self, name: Labels, kind: int, size: int) -> Answer:
        """A name in a reverse zone. Whose an address of a Session is, is nobody's business."""
        part = is_reverse_part(name)
        if part is not None:
            return self._answer(name, kind, None, exists=part, size=size)
        service = self._replica.service_at(packed_address(name))
        if service is not None and kind == _PTR:
            labels = _labels(private_fqdn(service.name, self._domain))
            data = record(0, _PTR, TTL, wire_name(labels))
            return Answer(NOERROR, data, (1, 0), True, text=text_name(labels))
        return self._answer(name, kind, None, exists=service is not None, size=size)

    # --- parts

    def _apex(self, kind: int) -> Answer:
        data = self._soa if kind == _SOA else self._server
        text = text_name(labels_of(self._server))
        return Answer(NOERROR, record(0, kind, TTL, data), (1, 0), True, text=text)

    def _nothing(self, name: Labels, size: int, rcode: int) -> Answer:
        """No such name, or no such records (RFC 2308 §2)."""
        at = sum(len(label) + 1 for label in name[: len(name) - size])
        return Answer(rcode, record(at, _SOA, NEGATIVE_TTL, self._soa), (0, 1), True)


def minimal(*, authoritative: bool) -> Answer:
    """What is said to a question for everything (RFC 8482 §4.2)."""
    data = record(0, _HINFO, TTL, _HINFO_DATA)
    return Answer(NOERROR, data, (1, 0), authoritative, text="RFC8482")


def _labels(name: str) -> Labels:
    return tuple(label.encode() for label in name.split(".") if label)
