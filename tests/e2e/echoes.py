"""Upstreams that repeat what they get, as programs for `python -c` on hosts without anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.cluster import wait_for

if TYPE_CHECKING:
    from tests.peers.namespaces import Namespace

STREAMS = """
import socket, threading
def serve(one):
    with one:
        while data := one.recv(4096):
            one.sendall(data)
with socket.create_server(("127.0.0.1", 8001)) as listening:
    while True:
        one, _ = listening.accept()
        threading.Thread(target=serve, args=(one,), daemon=True).start()
"""
"""Of TCP, at port 8001."""

DATAGRAMS = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
    bound.bind(("127.0.0.1", 8002))
    while True:
        data, source = bound.recvfrom(4096)
        bound.sendto(data, source)
"""
"""Of UDP, at port 8002."""


def wait_until_bound(host: Namespace, *places: str) -> None:
    """Wait until programs on a host have these places, such as `tcp 8001`."""

    def is_bound(place: str) -> bool:
        kind, _, port = place.partition(" ")
        lines = host.run("cat", f"/proc/net/{kind}").stdout.splitlines()[1:]
        return any(each.split()[1].endswith(f":{int(port):04X}") for each in lines)

    for place in places:
        wait_for(lambda: is_bound(place))  # noqa: B023
