"""What a person wants of the names of a connection."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.client.tunnel.errors import WantedError

if TYPE_CHECKING:
    from octelium.client.dns.upstreams import Server

PLACE: Final = ("127.0.0.100", 53)
"""Where the local name server is when nobody says where."""
_FORM: Final = "write IP[:PORT], such as 127.0.0.1:5300 or [::1]:5300"
_LONGEST: Final = 253
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class NamesWanted:
    """Everything that is wanted of names.

    Attributes:
        listen: address and port of a name server for programs that are told of it; None for
            whatever it takes to have this host ask.
        zones: domains beside the Cluster's own that only the Cluster is asked for.
        in_container: this host is a container, whose resolv.conf is the one way.
    """

    listen: Server | None = None
    zones: tuple[str, ...] = ()
    in_container: bool = False

    @property
    def is_open(self) -> bool:
        """Whether others than this host's programs can ask."""
        return self.listen is not None and not ipaddress.ip_address(self.listen[0]).is_loopback


def parse_place(text: str) -> Server:
    """What `--localdns-addr` is given: `IP` or `IP:PORT`, IPv6 addresses in brackets with a port.

    Raises:
        WantedError: it is of another form.
    """
    host, port = text, str(PLACE[1])
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or ":" not in host:
            raise _refused(text, "brackets are for an IPv6 address")
        port = rest[1:] if rest else port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise _refused(text, f"{host!r} is not an IP address") from None
    if address.is_multicast or "%" in host:
        raise _refused(text, "nothing can listen there")
    if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65_536):
        raise _refused(text, f"{port!r} is not a port between 1 and 65535")
    return str(address), int(port)


def parse_zone(text: str) -> str:
    """The domain that `--dns-zone` is given, in lower case and without a dot at its end.

    Raises:
        WantedError: it is none, or the root.
    """
    name = text.lower().removesuffix(".")
    if len(name) > _LONGEST or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        problem = f"--dns-zone {text!r}: not a domain name"
        raise WantedError(problem, "write it as in corp.example")
    return name


def _refused(text: str, why: str) -> WantedError:
    return WantedError(f"--localdns-addr {text!r}: {why}", _FORM)
