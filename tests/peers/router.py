"""A router between two networks that does NAT, and what may become of what it passes on.

Its kernel keeps the mappings (netfilter's connection tracking, RFC 4787); they are forgotten on
demand, as a home router forgets them when it starts again or when nothing passes for a while.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers.namespaces import Namespace

_nft = partial(program, "nft", "nftables")
_NAT = """
table ip nat {{
  chain post {{
    type nat hook postrouting priority 100;
    oifname "{outside}" meta l4proto {{ tcp, udp }} masquerade {ports};
    oifname "{outside}" masquerade;
  }}
}}
"""
_FILTER = """
table ip {name} {{
  chain forward {{ type filter hook forward priority 0; {rule} }}
}}
"""
_TO_RELAY = """
table ip relay {{
  chain pre {{ type nat hook prerouting priority -100; {match} redirect to :{port}; }}
}}
"""
# IPCTNL_MSG_CT_DELETE without attributes deletes all (linux/netfilter/nfnetlink_conntrack.h).
_FORGET = """
import socket, struct
NETFILTER, CTNETLINK, DELETE, REQUEST, ACK = 12, 1, 2, 1, 4
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER) as asking:
    body = struct.pack("=BBH", 0, 0, 0)
    kind = CTNETLINK << 8 | DELETE
    asking.send(struct.pack("=IHHII", 16 + len(body), kind, REQUEST | ACK, 1, 0) + body)
    (error,) = struct.unpack_from("=i", asking.recv(4096), 16)
    raise SystemExit(error and f"error {-error}")
"""


@dataclass(frozen=True)
class Router:
    """A namespace as a router; `outside` is its interface to the outer network."""

    namespace: Namespace
    outside: str

    def begin(self) -> None:
        """Pass packets on, those to the outside by NAT."""
        self.namespace.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        self._rules(_NAT.format(outside=self.outside, ports=""))

    def map_to(self, ports: str) -> None:
        """New mappings get ports of a range like `20000-20999`; the present ones are forgotten."""
        self._rules("delete table ip nat" + _NAT.format(outside=self.outside, ports=f"to :{ports}"))
        self.forget()

    def forget(self) -> None:
        """Forget all mappings."""
        self.namespace.run(sys.executable, "-I", "-c", _FORGET)

    @contextmanager
    def dropping(self, rule: str) -> Iterator[None]:
        """Until the end, drop what `rule` matches of what is passed on; all, if it is empty."""
        self._rules(_FILTER.format(name="dropping", rule=f"{rule} counter drop;"))
        try:
            yield
        finally:
            self.namespace.run(_nft(), "delete", "table", "ip", "dropping")

    @contextmanager
    def relaying(self, match: str, target: str, **manners: float) -> Iterator[None]:
        """Have datagrams that `match` pass a relay on the way to `target`, HOST:PORT.

        `manners` are those of `tests.peers.udp_relay`.
        """
        given = [f"{name}={value}" for name, value in manners.items()]
        words = (sys.executable, "-m", "tests.peers.udp_relay", target, *given)
        with self.namespace.process(*words, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            self._rules(_TO_RELAY.format(match=match, port=port))
            self.forget()
            try:
                yield
            finally:
                # First of all: what it still sends would tell both sides of a place that is none.
                process.kill()
                process.wait()
                self.namespace.run(_nft(), "delete", "table", "ip", "relay")
                self.forget()

    def _rules(self, text: str) -> None:
        self.namespace.run(_nft(), "-f", "-", input=text)
