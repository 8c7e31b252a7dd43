"""By which names a Service is called through a tunnel.

In the private network the address of the caller is the login, and a browser will send requests of
any page to any address that the page's name resolves to. A page whose name turns to a Service's
address (DNS rebinding) would speak with it as the user. It cannot choose `Host`, though: what is
not the Service's own is answered with 421 (RFC 9110, section 15.5.20).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from octelium.replica.addresses import packed
from octelium.schema.names import DEFAULT_NAMESPACE, public_hosts, split_service_name

if TYPE_CHECKING:
    from collections.abc import Collection

    from octelium.replica.addresses import Packed

_LOCAL: Final = "local"
_OWN_NAMESPACES: Final = frozenset({"default", "octelium", "octelium-api", "cordium"})
_never_public = re.compile(r"(?!xn--).*[0-9-].*").fullmatch
"""Top-level domains are letters, or begin with `xn--` (RFC 1123 section 2.1, RFC 5890)."""
_LOOPBACK_V6: Final = bytes(15) + b"\x01"


class OwnNames:
    """The names of one Service in a Cluster of some domain, and its addresses.

    `aliases` are further names, for Services that share one. Names of this computer are among them:
    a published Service is called by them, and no other computer can have them (RFC 6761, section
    6.3).
    """

    def __init__(
        self,
        service_name: str,
        domain: str,
        addresses: Collection[Packed],
        aliases: Collection[str] = (),
    ) -> None:
        name, namespace = split_service_name(service_name)
        full = f"{name}.{namespace}"
        prefixes = [full]
        if namespace == DEFAULT_NAMESPACE:
            prefixes.append(name)
            if name == DEFAULT_NAMESPACE:
                prefixes.append("")
        elif name == DEFAULT_NAMESPACE:
            prefixes.append(namespace)
        suffixes = [_LOCAL]
        if domain:
            suffixes += [f"{_LOCAL}.{domain}", f"{domain}.{_LOCAL}"]
        private = {".".join(filter(None, (p, s))) for p in prefixes for s in suffixes}
        self._names = private | set(aliases)
        if domain:
            self._names |= set(public_hosts(service_name, domain))
        if namespace == DEFAULT_NAMESPACE:
            self._names.add(name)
        if namespace in _OWN_NAMESPACES or _never_public(namespace):
            self._names.add(full)  # others may be a public domain, now or later
        self._below = tuple(f".{full}.{suffix}" for suffix in suffixes)
        self._addresses = frozenset(addresses)

    def has(self, authority: bytes) -> bool:
        """Whether a host that a client named, lower-case and without port, is this Service's."""
        try:
            host = authority.decode("ascii")
        except UnicodeDecodeError:
            return False
        if host.startswith("["):
            address = packed(host[1:-1])
            return address is not None and (address in self._addresses or address == _LOOPBACK_V6)
        host = host.removesuffix(".")
        if host in self._names or host == "localhost" or host.endswith(".localhost"):
            return True
        if host.endswith(self._below):
            return True
        address = packed(host)
        return address is not None and (address in self._addresses or address[0] == 127)
