"""Questions to a name server at even intervals, over UDP.

They come whether or not the former are answered, so that a slow one delays those behind it. As a
program, `python -m bench.asker`, it has a plan on the first line of stdin (`place`, `sockets`,
`shares`); then each line is `{"seconds": …}`, and the answer has the times by kinds of questions.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any, Final, NamedTuple

import uvloop
from dns.message import make_query

RATE: Final = 2000
"""Questions a second."""
_STEP: Final = 0.005
_PATIENCE: Final = 4.0
_CODES: Final = (0, 3)
"""NOERROR and NXDOMAIN (RFC 1035, section 4.1.1)."""


class Share(NamedTuple):
    """A kind of question: how many of twenty, name and type; `{}` is a number."""

    kind: str
    of_twenty: int
    name: str
    type: str
    found: bool = True
    """Whether the answer has records."""


class _Client(asyncio.DatagramProtocol):
    """One socket: what it asked and when, by the number of the question."""

    def __init__(self, times: dict[str, list[float]], wrong: list[str]) -> None:
        self.waiting: dict[bytes, tuple[Share, float]] = {}
        self._times = times
        self._wrong = wrong

    def datagram_received(self, data: bytes, _address: Any) -> None:
        share, sent = self.waiting.pop(data[:2])
        self._times[share.kind].append(time.perf_counter() - sent)
        code, found = data[3] & 0xF, data[6:8] != b"\0\0"
        if code not in _CODES or found is not share.found:
            self._wrong.append(f"{share.kind}: code {code}, records {found}")


async def burst(
    place: tuple[str, int], sockets: int, shares: list[Share], seconds: int
) -> dict[str, Any]:
    """Ask for some seconds: `times` by kind, how many were `asked`, what was `wrong`."""
    loop = asyncio.get_running_loop()
    times: dict[str, list[float]] = {each.kind: [] for each in shares}
    wrong: list[str] = []
    clients: list[tuple[Any, _Client]] = [
        await loop.create_datagram_endpoint(lambda: _Client(times, wrong), remote_addr=place)
        for _ in range(sockets)
    ]
    plan = [each for each in shares for _ in range(each.of_twenty)]
    run_name = f"{time.time_ns():x}"
    wires = []
    for number in range(RATE * seconds):
        share = plan[number % len(plan)]
        asked = make_query(share.name.format(f"{run_name}-{number}"), share.type, use_edns=0)
        wires.append((share, (number & 0xFFFF).to_bytes(2, "big"), asked.to_wire()[2:]))
    begun = loop.time()
    sent = 0
    while sent < len(wires):
        due = min(int((loop.time() - begun) * RATE) + 1, len(wires))
        while sent < due:
            share, number_bytes, rest = wires[sent]
            transport, client = clients[sent % sockets]
            client.waiting[number_bytes] = (share, time.perf_counter())
            transport.sendto(number_bytes + rest)
            sent += 1
        await asyncio.sleep(_STEP)
    deadline = loop.time() + _PATIENCE
    while loop.time() < deadline and any(client.waiting for _, client in clients):
        await asyncio.sleep(2 * _STEP)
    for transport, _ in clients:
        transport.close()
    return {"times": times, "asked": sent, "wrong": wrong}


async def _main() -> None:
    plan = json.loads(sys.stdin.readline())
    host, port = plan["place"]
    shares = [Share(*each) for each in plan["shares"]]
    while line := await asyncio.to_thread(sys.stdin.readline):
        found = await burst((host, port), plan["sockets"], shares, json.loads(line)["seconds"])
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    uvloop.run(_main())
