"""Debian's wireguard-go, with a TUN device in a network namespace of the test's own."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.peers.namespaces import Namespace, NotVerifiedError
from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERFACE = "wg0"
PORT = 51_820
_SECONDS = 60
_BIND = """
import socket, sys
channel = socket.socket(fileno=int(sys.argv[1]))
made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
made.bind(("127.0.0.1", 0))
socket.send_fds(channel, [b"x"], [made.fileno()])
"""

_wireguard_go = partial(program, "wireguard-go", "wireguard-go")
_wg = partial(program, "wg", "wireguard-tools")


def encoded(key: bytes) -> str:
    """A key as `wg` writes it."""
    return base64.b64encode(key).decode()


def udp_socket(namespace: Namespace) -> socket.socket:
    """A UDP socket of this process on the loopback interface of `namespace`."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        number = theirs.fileno()
        words = (sys.executable, "-I", "-c", _BIND, str(number))
        namespace.run(*words, pass_fds=(number,))
        _, (descriptor,), *_ = socket.recv_fds(ours, 1, 1)
    made = socket.socket(fileno=descriptor)
    made.setblocking(False)
    return made


class WireGuardGo:
    """The running program; its device is `wg0` and listens at 127.0.0.1, port 51820."""

    place = ("127.0.0.1", PORT)

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.namespace = namespace
        self._folder = folder

    def set_up(self, private_key: bytes, *addresses: str, routes: str) -> None:
        """Give the device a key, addresses such as `10.0.0.1/32`, and a route to its peers."""
        file = self._folder / "private"
        file.write_text(encoded(private_key))
        self.namespace.run(_wg(), "set", INTERFACE, "private-key", file, "listen-port", str(PORT))
        self.namespace.ip(
            *(f"address add {address} dev {INTERFACE}" for address in addresses),
            f"link set {INTERFACE} mtu 1280 up",
            f"route add {routes} dev {INTERFACE}",
        )

    def set_peer(
        self, public_key: bytes, allowed_ips: str, *more: str, psk: bytes | None = None
    ) -> None:
        """Have a peer; `more` are words of `wg set` such as `endpoint 127.0.0.1:1`."""
        words = [encoded(public_key), "allowed-ips", allowed_ips, *more]
        if psk is not None:
            file = self._folder / "preshared"
            file.write_text(encoded(psk))
            words += ["preshared-key", str(file)]
        self.namespace.run(_wg(), "set", INTERFACE, "peer", *words)

    def show(self, what: str) -> str:
        """The last word of what `wg show` tells of its only peer."""
        return self.namespace.run(_wg(), "show", INTERFACE, what).stdout.split()[-1]


@contextmanager
def wireguard_go(namespace: Namespace, folder: Path) -> Iterator[WireGuardGo]:
    """Run it. Raises NotVerifiedError where there is no TUN device to be had."""
    try:
        Path("/dev/net/tun").open("rb").close()
    except OSError as error:
        raise NotVerifiedError(f"not verified: no TUN device here: {error}") from error
    # The socket that `wg` speaks to has a fixed name; only this namespace is to see it.
    namespace.run("mount", "-t", "tmpfs", "none", "/run")
    words = (_wireguard_go(), "-f", INTERFACE)
    quiet = subprocess.DEVNULL
    with namespace.process(*words, stdout=quiet, stderr=quiet) as process:
        end = time.monotonic() + _SECONDS
        while namespace.run(_wg(), "show", INTERFACE, check=False).returncode:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"wireguard-go does not start: {process.poll()}")
            time.sleep(0.02)
        namespace.ip("link set lo up")
        yield WireGuardGo(namespace, folder)
