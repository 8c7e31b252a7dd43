"""What the controller tells the Cluster: how it is itself, and how the containers are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

from octelium.controller.status import (
    MAX_EVENTS,
    MAX_IMAGE,
    MAX_NAME,
    MAX_TEXT,
    ContainerEvent,
    ContainerStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TOPIC: Final = "controller"
"""Of batches that hold reports."""
LARGEST: Final = 8 << 20
"""Bytes of a report."""
MOST: Final = 64
"""Containers in one report."""
_NUMBERS: Final = 2**31
_INSTANTS: Final = 2**33
_PORTS: Final = 2**16
_STATUS: Final = frozenset(field.name for field in fields(ContainerStatus))
_EVENT: Final = frozenset(field.name for field in fields(ContainerEvent))
_LIMITS: Final = {
    "service_uid": MAX_NAME,
    "config": MAX_NAME,
    "address": 64,
    "image": MAX_IMAGE,
    "reason": MAX_NAME,
    "message": MAX_TEXT,
    "object": MAX_NAME,
    "type": MAX_NAME,
    "trouble": MAX_TEXT,
}
"""Characters of each text."""
_NETWORKS: Final = tuple(
    map(
        ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
    )
)
"""RFC 1918, RFC 6598 and RFC 4193: networks of nobody on the Internet."""
_METADATA: Final = frozenset(
    map(ip_address, ("100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"))
)
"""Of clouds, beside 169.254.0.0/16: they give credentials to whoever asks."""


class ReportError(ValueError):
    """Not a report that may be believed; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Report:
    """`trouble` says in one line why containers are not kept as they shall be, and is empty while
    they are. `leading` tells whether this controller is the one that keeps them.
    """

    trouble: str
    leading: bool
    containers: tuple[ContainerStatus, ...] = ()

    def encode(self) -> bytes:
        """For the feed. Texts are cut and made printable; more than `MOST` containers do not fit.

        Raises:
            ReportError: there are more.
        """
        if len(self.containers) > MOST:
            raise ReportError(f"{len(self.containers)} containers, more than {MOST}")
        value = {
            "trouble": _printable(self.trouble, MAX_TEXT),
            "leading": self.leading,
            "containers": [_cleaned(asdict(each)) for each in self.containers],
        }
        return json.dumps(value, ensure_ascii=False).encode()

    @classmethod
    def decode(cls, data: bytes) -> Report:
        """The reverse, for a reader that does not trust the sender.

        Raises:
            ReportError: a member is missing, too much, of another type or out of bounds.
        """
        if len(data) > LARGEST:
            raise ReportError(f"{len(data)} bytes, more than {LARGEST}")
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ReportError(f"no JSON: {error}") from error
        members = _object(value, frozenset({"trouble", "leading", "containers"}), "report")
        containers = members["containers"]
        if not isinstance(containers, list) or len(containers) > MOST:
            raise ReportError(f"containers: no list of at most {MOST}")
        found = tuple(map(_status, containers))
        if len({each.key for each in found}) != len(found):
            raise ReportError("containers: one is told twice")
        return cls(_text(members, "trouble"), _flag(members, "leading"), containers=found)


def reports(
    trouble: str, containers: Iterable[ContainerStatus], *, leading: bool
) -> Iterator[Report]:
    """As many reports as it takes to tell of containers, and one if there are none."""
    left = tuple(containers)
    yield Report(trouble, leading, left[:MOST])
    for start in range(MOST, len(left), MOST):
        yield Report(trouble, leading, left[start : start + MOST])


def _printable(text: str, limit: int) -> str:
    """Without what moves a terminal's cursor, and no longer than `limit` characters."""
    kept = "".join(each if each.isprintable() else " " for each in text[:limit])
    return kept if len(text) <= limit else f"{kept[: limit - 1]}…"


def _cleaned(value: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _printable(member, _LIMITS[name])
        if isinstance(member, str)
        else [_cleaned(event) for event in member[:MAX_EVENTS]]
        if isinstance(member, list | tuple)
        else member
        for name, member in value.items()
    }


def _object(value: object, members: frozenset[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != members:
        raise ReportError(f"{what}: no object of {', '.join(sorted(members))}")
    return value


def _text(members: dict[str, Any], name: str) -> str:
    value, limit = members[name], _LIMITS[name]
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        raise ReportError(f"{name}: no printable text of at most {limit} characters")
    return value


def _flag(members: dict[str, Any], name: str) -> bool:
    value = members[name]
    if not isinstance(value, bool):
        raise ReportError(f"{name}: neither true nor false")
    return value


def _number(members: dict[str, Any], name: str, limit: int = _NUMBERS) -> int:
    value = members[name]
    if type(value) is not int or not 0 <= value < limit:
        raise ReportError(f"{name}: no number from 0 to {limit - 1}")
    return value


def _status(value: object) -> ContainerStatus:
    members = _object(value, _STATUS, "container")
    address, port, ready = _place(members)
    events = members["events"]
    if not isinstance(events, list) or len(events) > MAX_EVENTS:
        raise ReportError(f"events: no list of at most {MAX_EVENTS}")
    return ContainerStatus(
        service_uid=_text(members, "service_uid"),
        config=_text(members, "config"),
        address=address,
        port=port,
        ready=ready,
        desired=_number(members, "desired"),
        replicas=_number(members, "replicas"),
        ready_replicas=_number(members, "ready_replicas"),
        updated=_number(members, "updated"),
        image=_text(members, "image"),
        restarts=_number(members, "restarts"),
        reason=_text(members, "reason"),
        message=_text(members, "message"),
        events=tuple(map(_event, events)),
    )


def _place(members: dict[str, Any]) -> tuple[str, int, bool]:
    """Address and port, and whether requests may be sent there."""
    text, port = _text(members, "address"), _number(members, "port", _PORTS)
    address = str(_address(text)) if text else ""
    if (ready := _flag(members, "ready")) and not (address and port):
        raise ReportError("ready: without an address and a port")
    return address, port, ready


def _address(text: str) -> IPv4Address | IPv6Address:
    """Where containers may be: at a private address, and none where clouds tell their secrets."""
    try:
        address = ip_address(text)
    except ValueError as error:
        raise ReportError(f"address: {error}") from error
    if (
        "%" in text
        or address in _METADATA
        or not any(
            address in network for network in _NETWORKS if network.version == address.version
        )
    ):
        raise ReportError(f"address: {text} is none that a Service of Kubernetes has")
    return address


def _event(value: object) -> ContainerEvent:
    members = _object(value, _EVENT, "event")
    return ContainerEvent(
        object=_text(members, "object"),
        type=_text(members, "type"),
        reason=_text(members, "reason"),
        message=_text(members, "message"),
        count=_number(members, "count"),
        last=_number(members, "last", _INSTANTS),
    )
