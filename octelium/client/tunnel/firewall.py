"""The host's firewall for the tunnel's device: what the Cluster may begin, and what it may not.

Every program here that listens at all addresses listens at the tunnel's, too. So there come in by
the device answers to what was asked from here, and connections to what is served; nothing is passed
on from it. Whatever else the host's own rules refuse stays refused.
"""

from __future__ import annotations

import errno
import logging
import socket
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from octelium.tunnel.link import nft
from octelium.tunnel.link.firewall import ABSENT, closed_ports
from octelium.tunnel.link.netlink import NETFILTER, Netlink
from octelium.tunnel.link.nft import ACCEPT, DROP, Chain, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.client.tunnel.side import Kind

    Place = tuple[Kind, str, int]

_LOG = logging.getLogger(__name__)
PREFIX: Final = "octelium-"
"""What the names of our devices begin with, and of their tables."""
_NUMBERS: Final = {"tcp": 6, "udp": 17}
_NO_OWNER: Final = frozenset({errno.EINVAL, errno.EOPNOTSUPP})
_CHAINS: Final = (
    Chain("input", nft.INPUT, 0, ACCEPT),
    Chain("forward", nft.FORWARD, 0, ACCEPT),
    Chain("from-cluster"),
)


class HostFirewall:
    """A table of nftables named as the device. It ends with this process, in whatever way that
    does; where the kernel cannot do that (before Linux 5.12), the next `put` of anybody removes it.

    On a host without nftables there is none, which is logged: there the host's services have to
    look after themselves, as they do on any network.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._served: set[Place] = set()
        self._netlink: Netlink | None = None
        self._is_owned = True
        self.problem = ""
        """Why there is none; empty if there is, or was not asked for."""

    def put(self) -> None:
        """Have it, with what is served already.

        Raises:
            OSError: refused for another reason than that the kernel has no nftables.
        """
        self.problem = ""
        try:
            _sweep(self._device)
            self._netlink = Netlink(NETFILTER)
            self._replace()
        except OSError as error:
            if self._netlink is not None:
                self._netlink.close()
                self._netlink = None
            if error.errno not in ABSENT:
                raise
            self.problem = str(error)
            _LOG.warning(
                "the Cluster can reach what listens on this host at all addresses: its kernel has "
                "no nftables with connection tracking (%s)",
                error,
            )

    def serve(self, kind: Kind, address: str, port: int) -> None:
        """Let connections in to a port at the tunnel's address. Raises OSError."""
        self._change(self._served | {(kind, address, port)})

    def stop(self, kind: Kind, address: str, port: int) -> None:
        """Let nothing in there any longer. Raises OSError."""
        self._change(self._served - {(kind, address, port)})

    def close(self) -> None:
        """Remove it. May be called again. Raises OSError."""
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None
            if not self._is_owned:
                nft.delete_table(self._device)

    def _change(self, served: set[Place]) -> None:
        before, self._served = self._served, served
        if self._netlink is None or before == served:
            return
        try:
            self._replace()
        except BaseException:
            self._served = before
            raise

    def _replace(self) -> None:
        rules = list(self._rules())
        if self._is_owned:
            try:
                nft.replace_table(self._device, _CHAINS, rules, compares=True, owner=self._netlink)
            except OSError as error:
                if error.errno not in _NO_OWNER:
                    raise
                self._is_owned = False
            else:
                return
        nft.replace_table(self._device, _CHAINS, rules, compares=True)

    def _rules(self) -> Iterator[Rule]:
        arrives = nft.comes_in_by(self._device)
        yield Rule("input", "input", (arrives, nft.jump("from-cluster")))
        yield Rule("forward", "forward", (arrives, nft.counter(), nft.verdict(DROP)))
        passes = (nft.counter(), nft.verdict(ACCEPT))
        yield Rule("from-cluster", "answers", (nft.established(), *passes))
        yield from closed_ports("from-cluster", "errors")
        for kind, address, port in sorted(self._served):
            to = (nft.destination_in(ip_network(address)), nft.protocol(_NUMBERS[kind]))
            match = (*to, nft.transport_port(port))
            yield Rule("from-cluster", "served", (*match, *passes))
        yield Rule("from-cluster", "refused", (nft.counter(), nft.verdict(DROP)))


def _sweep(own: str) -> None:
    """Remove tables of ours that ended with nobody, and the devices of which are gone."""
    devices = {name for _, name in socket.if_nameindex()} - {own}
    for table in nft.unowned_tables():
        if table.startswith(PREFIX) and table not in devices:
            nft.delete_table(table)
