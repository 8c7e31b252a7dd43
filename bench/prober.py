"""Requests through a tunnel at even intervals, each on a new TCP connection.

`python -m bench.prober`, with a plan (`address`, `port`, `rate`) on the first line of stdin. Then
each line is `{"seconds": …}`; the answer has when each request was due, since the first, and how
long it took: `null` for none within `LIMIT`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any, Final

import uvloop

from octelium.http.tasks import spawn

LIMIT: Final = 5.0
"""Seconds."""


async def _request(address: str, port: int) -> None:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(f"GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(f"the answer is {head[:60]!r}")
    finally:
        writer.transport.abort()


async def _timed(plan: dict[str, Any], due: float, found: list[float | None], place: int) -> None:
    try:
        async with asyncio.timeout(LIMIT):
            await _request(plan["address"], plan["port"])
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return
    found[place] = time.monotonic() - due


async def _burst(plan: dict[str, Any], seconds: float) -> dict[str, Any]:
    rate = plan["rate"]
    count = int(rate * seconds)
    found: list[float | None] = [None] * count
    began = time.monotonic()
    running = []
    for number in range(count):
        due = began + number / rate
        await asyncio.sleep(due - time.monotonic())
        running.append(spawn(_timed(plan, due, found, number), name="request"))
    await asyncio.gather(*running)
    return {"began": began, "took": found}


async def _main() -> None:
    plan = json.loads(sys.stdin.readline())
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await _burst(plan, json.loads(line)["seconds"])), flush=True)


if __name__ == "__main__":
    uvloop.run(_main())
