"""TCP segments of a flow, for tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from octelium.tunnel.packets import heads
from octelium.tunnel.packets.heads import ACK, TCP, TcpHead, build_ip, build_tcp

SOURCES = {4: bytes([10, 0, 0, 1]), 6: bytes([0xFD, *range(15)])}
DESTINATIONS = {4: bytes([10, 0, 0, 2]), 6: bytes([0xFD, *range(1, 16)])}
TIMES = bytes([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2])


def segment(version: int, payload: bytes, **given: Any) -> bytes:
    """One TCP packet; `given` are fields of the TCP head, or of `build_ip`."""
    ip = {
        name: given.pop(name)
        for name in ("identification", "dont_fragment", "traffic_class", "hops")
        if name in given
    }
    fields = {
        "source": 1,
        "destination": 2,
        "sequence": 1000,
        "acknowledged": 77,
        "flags": ACK,
        "window": 500,
    }
    head = TcpHead(**{**fields, **given})
    source, destination = SOURCES[version], DESTINATIONS[version]
    return build_ip(source, destination, TCP, build_tcp(source, destination, head, payload), **ip)


def train(
    version: int, payload: bytes, size: int, *, push: bool = False, **given: Any
) -> list[bytes]:
    """Segments of a payload, `size` bytes each, as a kernel would cut it."""
    sequence = given.pop("sequence", 0xFFFFFF00)
    identification = given.pop("identification", 0xFFFE)
    found = []
    for number, at in enumerate(range(0, len(payload), size)):
        last = at + size >= len(payload)
        found.append(
            segment(
                version,
                payload[at : at + size],
                sequence=(sequence + at) & 0xFFFFFFFF,
                flags=ACK | heads.PSH if last and push else ACK,
                **({"identification": (identification + number) & 0xFFFF} if version == 4 else {}),
                **given,
            )
        )
    return found


@st.composite
def trains(draw: st.DrawFn) -> list[bytes]:
    """Trains of all kinds that fit into one large packet."""
    size = draw(st.integers(1, 1448))
    payload = draw(st.randoms(use_true_random=False)).randbytes(
        draw(st.integers(1, min(65_000, size * 60)))
    )
    return train(
        draw(st.sampled_from((4, 6))),
        payload,
        size,
        push=draw(st.booleans()),
        sequence=draw(st.integers(0, 2**32 - 1)),
        identification=draw(st.integers(0, 2**16 - 1)),
        dont_fragment=draw(st.booleans()),
        options=draw(st.sampled_from((b"", TIMES))),
        traffic_class=draw(st.integers(0, 255)),
        window=draw(st.integers(0, 65535)),
    )
