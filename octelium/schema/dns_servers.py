"""How administrators write DNS servers: in the ClusterConfig, and as upstreams of mode DNS."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

_TRANSPORTS: Final = {
    "": "udp", "dns": "udp", "udp": "udp", "tcp": "tcp",
    "tls": "tls", "dot": "tls", "tcp-tls": "tls",
}  # fmt: skip
_PORTS: Final = {"udp": 53, "tcp": 53, "tls": 853}
_FORM: Final = re.compile(
    r"(?:(?P<scheme>[a-z-]+)://)?(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[A-Za-z0-9._-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")

REMEDY: Final = "write an address or a name, or dns://, udp://, tcp:// or tls:// before one"


@dataclass(frozen=True, slots=True)
class DnsServer:
    """One server. `transport` is `udp`, `tcp` or `tls` (DNS over TLS, RFC 7858).

    `host` is an address or a name, without brackets.
    """

    transport: str
    host: str
    port: int


def parse_dns_server(text: str) -> DnsServer:
    """Read `[scheme://]host[:port]`.

    `dns`, `udp` and no scheme mean UDP at port 53, with TCP for answers that do not fit; `tcp` TCP
    at port 53; `tls`, `dot` and `tcp-tls` DNS over TLS at port 853. An IPv6 address stands in
    brackets, save where there is neither a scheme nor a port.

    Raises:
        ValueError: it is none of these; the text says what is wrong.
    """
    try:
        return DnsServer("udp", str(ipaddress.IPv6Address(text)), 53)
    except ValueError:
        match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a DNS server")
    transport = _TRANSPORTS.get(match["scheme"] or "")
    if transport is None:
        raise ValueError(f"{match['scheme']!r} is not a scheme of DNS servers")
    host = _host(match["v6"], match["host"])
    port = int(match["port"]) if match["port"] else _PORTS[transport]
    if not 0 < port < 65536:
        raise ValueError(f"the port {port} is not between 1 and 65535")
    return DnsServer(transport, host, port)


def _host(v6: str | None, host: str) -> str:
    if v6 is not None:
        try:
            return str(ipaddress.IPv6Address(v6))
        except ValueError:
            raise ValueError(f"{v6!r} is not an IPv6 address") from None
    name = host.removesuffix(".")
    labels = name.split(".")
    if labels[-1].isdigit():  # no top-level domain is a number (RFC 3696 §2)
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise ValueError(f"{name!r} is not an IPv4 address") from None
    if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(f"{host!r} is not a host name")
    return name
