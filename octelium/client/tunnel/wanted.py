"""What a person wants of a connection."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from octelium.client.tunnel.errors import WantedError
from octelium.schema.names import full_service_name, is_label
from octelium.schema.pb import user_v1_pb2 as user

if TYPE_CHECKING:
    from collections.abc import Mapping

IpMode = Literal["v4", "v6", "both"]
KEEPALIVE: Final = 30
"""Seconds between packets that keep a NAT's mapping; RFC 4787 REQ-5 has those last 2 minutes."""
_LOOPBACK: Final = "localhost"
_PORTS: Final = range(20_000, 24_000)
_MTU: Final = range(1280, 1501)
_L3 = user.ConnectRequestInitializeL3Mode__
_MODES: Final[dict[IpMode, _L3.ConnectRequestInitializeL3Mode.ValueType]] = {
    "v4": _L3.V4,
    "v6": _L3.V6,
    "both": _L3.BOTH,
}
_FORM: Final = (
    "write SERVICE[.NAMESPACE][:ADDRESS]:PORT, such as wiki:8080 or db.ops:127.0.0.1:5432"
)


@dataclass(frozen=True, slots=True)
class Publication:
    """A port of this host that leads to a Service.

    Attributes:
        service: its full name, such as `wiki.default`.
        address: an IP address, or `localhost` for both of the loopback interface.
    """

    service: str
    address: str
    port: int

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where to listen."""
        return ("127.0.0.1", "::1") if self.address == _LOOPBACK else (self.address,)

    @property
    def is_open(self) -> bool:
        """Whether others than this host's programs can come there."""
        return not all(ipaddress.ip_address(each).is_loopback for each in self.addresses)

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


def parse_publication(text: str) -> Publication:
    """What `-p` is given: `SERVICE[.NAMESPACE][:ADDRESS]:PORT`, IPv6 addresses in brackets.

    Raises:
        WantedError: it is of another form.
    """
    rest, colon, port = text.rpartition(":")
    name, another, address = rest.partition(":")
    if not colon or (another and not address):
        raise WantedError(f"-p {text!r}: a part is missing", _FORM)
    if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65_536):
        raise WantedError(f"-p {text!r}: {port!r} is not a port between 1 and 65535", _FORM)
    return Publication(_service(text, name), _address(text, address), int(port))


def _service(text: str, name: str) -> str:
    full = full_service_name(name)
    if not name or not all(is_label(part) for part in full.split(".")) or full.count(".") != 1:
        raise WantedError(f"-p {text!r}: {name!r} is not the name of a Service", _FORM)
    return full


def _address(text: str, address: str) -> str:
    if address in ("", _LOOPBACK):
        return _LOOPBACK
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    if (":" in bare) != (bare != address):
        raise WantedError(f"-p {text!r}: IPv6 addresses, and only those, stand in brackets", _FORM)
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        problem = f"-p {text!r}: {address!r} is neither an IP address nor localhost"
        raise WantedError(problem, _FORM) from None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that is wanted of one connection.

    Attributes:
        ip_mode: None to have what the Cluster has.
        serve: full names of Services that this host serves; `serve_all` for all that it can.
        mtu: None for what the Cluster says.
        has_ipv6: whether this host can have addresses of IPv6 in a tunnel.
        allowed: ranges that the Cluster may have though they are not private.
        port_start: the first port of served Services, so that two clients of a host seldom meet.
    """

    ip_mode: IpMode | None = None
    publish: tuple[Publication, ...] = ()
    serve: tuple[str, ...] = ()
    serve_all: bool = False
    no_dns: bool = False
    mtu: int | None = None
    keepalive: int = KEEPALIVE
    port_start: int = 23_000
    has_ipv6: bool = True
    allowed: tuple[str, ...] = ()

    @property
    def serves(self) -> bool:
        """Whether others are to reach Services here."""
        return self.serve_all or bool(self.serve)

    def is_served(self, name: str) -> bool:
        """Whether a Service of this name may be served here."""
        return self.serve_all or full_service_name(name) in self.serve

    @property
    def modes(self) -> tuple[IpMode, ...]:
        """What to ask for: one after the other, as long as the Cluster has no such network.

        Both families, so that programs which look up one of them only find what they want.
        """
        if self.ip_mode is not None:
            return (self.ip_mode,)
        return ("both", "v4", "v6") if self.has_ipv6 else ("v4",)

    def initialize(self, mode: IpMode) -> user.ConnectRequest:
        """The first message of a `Connect` stream."""
        message = user.ConnectRequestInitialize(l3_mode=_MODES[mode], ignore_dns=self.no_dns)
        if self.serves:
            options = message.service_options
            options.serve_all = self.serve_all
            options.port_start = self.port_start
            for name in self.serve:
                options.services.add(name=name)
        for each in self.publish:
            message.published_services.add(name=each.service, port=each.port, address=each.address)
        return user.ConnectRequest(initialize=message)


def served_name(name: str) -> str:
    """The full name of a Service that `--serve` is given. Raises WantedError."""
    full = full_service_name(name)
    if not name or full.count(".") != 1 or not all(is_label(part) for part in full.split(".")):
        raise WantedError(f"--serve {name!r}: not the name of a Service", "such as wiki or db.ops")
    return full


def parse_range(text: str) -> str:
    """What `--allow-range` is given. Raises WantedError."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise WantedError(f"--allow-range {text!r}: {error}", "such as 203.0.113.0/24") from None
    if not network.prefixlen:
        raise WantedError(f"--allow-range {text!r}: that is everything")
    return str(network)


def any_port_start() -> int:
    """One by chance."""
    return secrets.choice(_PORTS)


def mtu_of(environ: Mapping[str, str]) -> int | None:
    """What `OCTELIUM_MTU` says. Raises WantedError."""
    return _number(environ, "OCTELIUM_MTU", _MTU)


def keepalive_of(environ: Mapping[str, str]) -> int:
    """What `OCTELIUM_KEEPALIVE` says, 0 for never. Raises WantedError."""
    found = _number(environ, "OCTELIUM_KEEPALIVE", range(65_536))
    return KEEPALIVE if found is None else found


def _number(environ: Mapping[str, str], name: str, known: range) -> int | None:
    text = environ.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) in known):
        raise WantedError(f"{name}={text!r} is not from {known.start} to {known.stop - 1}")
    return int(text)
