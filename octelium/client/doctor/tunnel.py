"""The tunnel of a connection on this host: whether packets come back, of every size, by its own
device, and by name.
"""

from __future__ import annotations

import datetime as dt
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from octelium.client.doctor import questions
from octelium.client.doctor.checks import Broken
from octelium.client.doctor.waiting import within

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE: Final = 7.0
"""Seconds for packets through the tunnel: a lost handshake message is repeated after 5 (the
WireGuard paper, section 6.1), and the Cluster knows of a silent gateway after as many."""
_MTU_PATIENCE: Final = 3.0
_TRIES: Final = 7
RESOLV_CONF: Final = Path("/etc/resolv.conf")
_OURS: Final = "octelium connect"


@dataclass(frozen=True, slots=True)
class Told:
    """What a running `octelium connect` tells of itself."""

    raw: dict[str, Any]

    @property
    def addresses(self) -> list[str]:
        """Own addresses within the tunnel, without prefix lengths."""
        return [str(each).partition("/")[0] for each in self.raw.get("addresses", ())]

    @property
    def is_of_host(self) -> bool:
        """Whether every program of this host may use the tunnel."""
        return self.raw.get("network") == "this host"

    @property
    def gateways(self) -> list[dict[str, Any]]:
        """Each with endpoint, lastHandshake, received and sent."""
        found = self.raw.get("gateways", ())
        return [each for each in found if isinstance(each, dict)]

    @property
    def places(self) -> str:
        """Where the gateways are, for people."""
        return ", ".join(str(each["endpoint"]) for each in self.gateways if each.get("endpoint"))

    @property
    def received(self) -> int:
        """Bytes from all gateways."""
        return sum(int(each.get("received") or 0) for each in self.gateways)

    @property
    def servers(self) -> list[str]:
        """The Cluster's name servers."""
        return [str(each) for each in (self.raw.get("dns") or {}).get("servers", ())]

    @property
    def names_are_looked_up(self) -> bool:
        """Whether this host's resolver was set up."""
        return bool((self.raw.get("dns") or {}).get("changed"))

    def published(self, service: str) -> tuple[str, int] | None:
        """Where a port of this host leads to a Service."""
        for each in self.raw.get("published", ()):
            if each.get("service") == service:
                return str(each["address"]), int(each["port"])
        return None

    def last_handshake(self, now: dt.datetime) -> float | None:
        """Seconds since some gateway answered last; None if none ever did."""
        told = [each["lastHandshake"] for each in self.gateways if each.get("lastHandshake")]
        if not told:
            return None
        return min((now - dt.datetime.fromisoformat(each)).total_seconds() for each in told)


def own_way(told: Told, address: str) -> str:
    """The device by which an address of the private network is reached.

    Raises:
        Broken: packets to it do not enter the tunnel.
    """
    from octelium.tunnel.link.addresses import overlapping

    own = told.addresses
    device = _device_of(own)
    try:
        source = questions.source_to(address)
    except OSError as error:
        remedy = "leave and join again: octelium disconnect, octelium connect"
        raise Broken(f"there is no route to {address}: {error.strerror}", remedy) from error
    if source not in own:
        try:
            others = [str(each) for each in overlapping([address], besides=(device,))]
        except OSError as error:
            others = [f"(the routes cannot be read: {error})"]
        found = others[0] if others else f"packets to {address} leave from {source}"
        remedy = (
            "leave the other network, or have the Cluster use another range (--network-v4, at its "
            "first start); or connect with --implementation gvisor and -p"
        )
        raise Broken(f"another network of this host takes the Cluster's range: {found}", remedy)
    return device


def _device_of(own: list[str]) -> str:
    from octelium.tunnel.link.addresses import addresses

    for _, name in socket.if_nameindex():
        try:
            present = {each.partition("/")[0] for each in addresses(name)}
        except OSError:
            continue  # it went just now
        if present & set(own):
            return name
    return ""


def carries(
    told: Told,
    again: Callable[[], Told | None],
    domain: str,
    *,
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> str:
    """Send a question through the tunnel; what shows that something came back.

    Raises:
        Broken: nothing did. The remedy is for datagrams that are dropped on their way.
    """
    asked = [each for each in told.servers if told.is_of_host]
    began = clock()
    for server in asked:
        message = questions.question(f"local.{domain}", "SOA")
        try:
            if questions.ask(server, message, seconds=PATIENCE, tries=_TRIES) is not None:
                return f"{told.places} answers"
        except OSError as error:
            raise Broken(f"nothing can be sent to {server}: {error.strerror}", _AGAIN) from error
        break
    now = again()
    if now is None:
        raise Broken("`octelium connect` has ended", "octelium connect")
    age = now.last_handshake(clock())
    if asked and now.received > told.received:
        # What the gateway begins by itself comes in, too, where nothing gets out to it.
        since = (clock() - began).total_seconds()
        if (age is not None and age < since) or not questions.listens(asked[0]):
            return f"{now.places} answers with handshakes"
    if not asked and age is not None and age < 180:
        return f"{now.places} answered {age:.0f} s ago"
    where = now.places or "an address that this host has no route to"
    if age is None:
        detail = f"the gateway at {where} has never answered by UDP"
    else:
        detail = f"the gateway at {where} is silent by UDP; its last handshake was {age:.0f} s ago"
    raise Broken(detail, _UDP)


_AGAIN: Final = "leave and join again: octelium disconnect, octelium connect"
_UDP: Final = (
    "let UDP to that port pass the firewalls of this host, of its network and of the Cluster's "
    "machine, and back"
)


def large_packets(server: str, domain: str) -> str:
    """Send a packet as large as the tunnel takes; its size.

    Raises:
        Broken: it does not arrive, where small ones do.
    """
    size = questions.path_mtu(server)
    room = size - questions.HEADS[questions.family_of(server)]
    name = f"local.{domain}"
    message = questions.question(name, "SOA", size=room)
    if questions.ask(server, message, seconds=_MTU_PATIENCE, tries=3) is None:
        small = questions.question(name, "SOA")
        if questions.ask(server, small, seconds=_MTU_PATIENCE, tries=3) is None:
            raise Broken(f"packets of any size to {server} are lost", _UDP)
        remedy = (
            "something on the way drops large datagrams: connect with a smaller OCTELIUM_MTU (1280 "
            "is the least), or let datagrams of 1400 bytes and their fragments pass"
        )
        raise Broken(f"packets of {size} bytes are lost, small ones are not", remedy)
    return f"packets of {size} bytes arrive"


def cluster_name(server: str, name: str, wanted: list[str]) -> list[str]:
    """Have the Cluster look a Service's private name up; its addresses.

    Raises:
        Broken: it does not, or says something else than the Cluster's API.
    """
    kind = "AAAA" if ":" in server else "A"
    try:
        answer = questions.ask(server, questions.question(name, kind), seconds=3.0, tries=3)
    except OSError as error:
        raise Broken(f"{server} cannot be asked: {error.strerror}", _AGAIN) from error
    remedy = "ask who administers the Cluster whether its workers run: octeliumctl doctor"
    if answer is None:
        raise Broken(f"the Cluster's name server {server} does not answer", remedy)
    found = questions.addresses_in(answer)
    if not found:
        told = f"the Cluster's name server does not know {name} ({questions.code_of(answer)})"
        raise Broken(told, "see whether the Service exists: octelium get services")
    if wanted and not set(found) & set(wanted):
        told = f"the Cluster's name server has {found[0]} for {name}, its API {wanted[0]}"
        raise Broken(told, remedy)
    return found


def host_name(name: str, wanted: list[str]) -> str:
    """Have this host's own resolver look a private name up, as programs do.

    Raises:
        Broken: it finds nothing, or something else.
    """
    servers = [line.split()[1] for line in _resolver_lines() if len(line.split()) > 1]
    whom = f"/etc/resolv.conf names {', '.join(servers) or 'no server'}"
    remedy = (
        "see which program has written /etc/resolv.conf since, and join again: octelium "
        "disconnect, octelium connect"
    )
    try:
        found = within(5.0, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    except socket.gaierror as error:
        told = f"this host does not find {name} ({error.strerror}), the Cluster does; {whom}"
        raise Broken(told, remedy) from error
    except TimeoutError as error:
        raise Broken(f"this host's resolver does not answer for {name}; {whom}", remedy) from error
    addresses = {str(one[4][0]) for one in found}
    if not addresses & set(wanted):
        told = f"this host has {min(addresses)} for {name}, the Cluster {wanted[0]}; {whom}"
        raise Broken(told, remedy)
    return f"{name} is found by this host's resolver"


def leftover() -> str:
    """What a connection that is over has left in resolv.conf; empty if nothing.

    Nothing is left over while what the file names listens: another user of this host is connected.

    Raises:
        OSError: it cannot be read.
    """
    text = RESOLV_CONF.read_text("utf-8", "replace")
    if _OURS not in text:
        return ""
    servers = [line.split()[1] for line in _resolver_lines() if len(line.split()) > 1]
    if not any(questions.listens(server) for server in servers):
        return "/etc/resolv.conf is still as `octelium connect` wrote it, which does not run"
    return ""


def _resolver_lines() -> list[str]:
    try:
        lines = RESOLV_CONF.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.startswith("nameserver")]
