"""Writes small databases of addresses (https://maxmind.github.io/MaxMind-DB/), IPv4 only."""

from __future__ import annotations

import struct
from ipaddress import IPv4Network
from typing import Any

_POINTER_BASE = 16
"""Bytes between the tree and the data."""
_STRING, _DOUBLE, _UINT32, _MAP, _ARRAY = 2, 3, 6, 7, 11


def _control(kind: int, size: int) -> bytes:
    assert size < 285
    first = min(29, size)
    rest = b"" if size < 29 else bytes([size - 29])
    if kind <= 7:
        return bytes([kind << 5 | first]) + rest
    return bytes([first, kind - 7]) + rest


def encode(value: Any) -> bytes:
    """A value of the data section."""
    if isinstance(value, str):
        data = value.encode()
        return _control(_STRING, len(data)) + data
    if isinstance(value, float):
        return _control(_DOUBLE, 8) + struct.pack(">d", value)
    if isinstance(value, int):
        data = value.to_bytes(4, "big").lstrip(b"\0")
        return _control(_UINT32, len(data)) + data
    if isinstance(value, list):
        return _control(_ARRAY, len(value)) + b"".join(map(encode, value))
    assert isinstance(value, dict)
    pairs = b"".join(encode(key) + encode(item) for key, item in value.items())
    return _control(_MAP, len(value)) + pairs


def database(places: dict[str, dict[str, Any]]) -> bytes:
    """A database of records by network, `{"192.0.2.0/24": {…}}`."""
    nodes: list[list[int | None]] = [[None, None]]
    data = b""
    leaves: list[tuple[int, int, int]] = []
    for text, record in places.items():
        network = IPv4Network(text)
        bits = f"{int(network.network_address):032b}"[: network.prefixlen]
        node = 0
        for bit in bits[:-1]:
            following = nodes[node][int(bit)]
            if following is None:
                following = nodes[node][int(bit)] = len(nodes)
                nodes.append([None, None])
            node = following
        leaves.append((node, int(bits[-1]), len(data)))
        data += encode(record)
    count = len(nodes)
    for node, side, offset in leaves:
        nodes[node][side] = count + _POINTER_BASE + offset
    tree = b"".join(
        (count if side is None else side).to_bytes(3, "big") for node in nodes for side in node
    )
    metadata = {
        "node_count": count,
        "record_size": 24,
        "ip_version": 4,
        "database_type": "Test-City",
        "languages": ["en"],
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1_700_000_000,
        "description": {"en": "for tests"},
    }
    return tree + bytes(_POINTER_BASE) + data + b"\xab\xcd\xefMaxMind.com" + encode(metadata)
