"""The text protocol of userspace WireGuard programs (wireguard.com/xplatform, "cross-platform
userspace interface"): lines `key=value`, an empty line at the end, and `errno=0` if it went well.
"""

from __future__ import annotations

import errno
import os
import re
import socket
from typing import TYPE_CHECKING, Final

from octelium.tunnel.engines.interface import EngineError, PeerStats

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from octelium.tunnel.engines.interface import PeerConfig, Place

SECONDS: Final = 5.0
"""How long an answer may take; a thousand peers take about 20 ms."""
LONGEST: Final = 64 << 20
"""Bytes of an answer."""
_ERRNO = re.compile("-?[0-9]{1,4}")
_END: Final = b"\n\n"
_NO_KEY: Final = bytes(32)


def ask(path: Path, request: str) -> list[tuple[str, str]]:
    """Send a request without its empty line; the answer's lines without `errno`.

    Raises:
        EngineError: the program is not there, is late, or refuses.
    """
    try:
        # A folder's descriptor: paths of sockets are at most 107 bytes long (unix(7)).
        folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
                channel.settimeout(SECONDS)
                channel.connect(f"/proc/self/fd/{folder}/{path.name}")
                channel.sendall(request.encode() + b"\n")
                answer = _read(channel)
        finally:
            os.close(folder)
    except OSError as error:
        raise EngineError(f"wireguard-go does not answer: {error}") from error
    lines = parse(answer)
    number = next((value for key, value in lines if key == "errno"), None)
    if number != "0":
        known = number is not None and _ERRNO.fullmatch(number)
        why = os.strerror(abs(int(known[0]))) if known else number
        raise EngineError(f"wireguard-go refuses: {why}")
    return [line for line in lines if line[0] != "errno"]


def parse(answer: bytes) -> list[tuple[str, str]]:
    """The lines of an answer.

    Raises:
        EngineError: a line that is none.
    """
    lines = []
    for line in answer.decode("ascii", "replace").split("\n"):
        if line:
            key, found, value = line.partition("=")
            if not found:
                raise EngineError(f"wireguard-go talks nonsense: {line[:80]!r}")
            lines.append((key, value))
    return lines


def peer_lines(peer: PeerConfig) -> list[str]:
    """Lines that give a peer all its settings."""
    lines = [
        f"public_key={peer.public_key.hex()}",
        f"preshared_key={(peer.preshared_key or _NO_KEY).hex()}",
    ]
    if peer.endpoint is not None:
        host, port = peer.endpoint
        lines.append(f"endpoint=[{host}]:{port}" if ":" in host else f"endpoint={host}:{port}")
    lines.append(f"persistent_keepalive_interval={peer.keepalive}")
    lines.append("replace_allowed_ips=true")
    lines += [f"allowed_ip={each}" for each in peer.allowed_ips]
    return lines


def removal_lines(public_keys: Iterable[bytes]) -> list[str]:
    """Lines that remove peers."""
    return [line for key in public_keys for line in (f"public_key={key.hex()}", "remove=true")]


def peer_stats(lines: Sequence[tuple[str, str]]) -> dict[bytes, PeerStats]:
    """What an answer to `get=1` tells of peers.

    Raises:
        EngineError: values that are none.
    """
    peers: dict[bytes, dict[str, str]] = {}
    try:
        for key, value in lines:
            if key == "public_key":
                peers[bytes.fromhex(value)] = values = {}
            elif peers:
                values[key] = value
        return {key: _stats(values) for key, values in peers.items()}
    except ValueError as error:
        raise EngineError(f"wireguard-go talks nonsense: {error}") from error


def _stats(values: dict[str, str]) -> PeerStats:
    endpoint = values.get("endpoint")
    seconds = int(values.get("last_handshake_time_sec", "0"))
    return PeerStats(
        endpoint=_place(endpoint) if endpoint else None,
        last_handshake=seconds + int(values.get("last_handshake_time_nsec", "0")) / 1e9,
        received=int(values.get("rx_bytes", "0")),
        sent=int(values.get("tx_bytes", "0")),
    )


def _place(text: str) -> Place:
    host, _, port = text.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _read(channel: socket.socket) -> bytes:
    answer = bytearray()
    while not answer.endswith(_END):
        data = channel.recv(1 << 16)
        if not data:
            raise OSError(errno.ECONNRESET, "the answer ends early")
        answer += data
        if len(answer) > LONGEST:
            raise OSError(errno.EMSGSIZE, "the answer has no end")
    return bytes(answer)
