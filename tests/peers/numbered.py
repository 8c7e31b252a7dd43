"""Numbered datagrams both ways through a tunnel: `python -I numbered.py OWN OTHER PORT RATE`.

Both hosts run it; it says `ready`. From the first line on stdin to the second it sends RATE
datagrams a second, or fewer where they come late, so that none is lost for want of room on the way.
Then it prints how many it has `sent`. At each further one it prints how many numbers it has
`received`, and the longest `pause` between two in seconds.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time

_SIZE = 1000
_BUFFER = 8 << 20
_STEP = 0.001
_MOST = 64
"""Numbers on the way; an engine's socket has room for about 90 of them (net.core.rmem_default)."""
_AGAIN = 0.1
"""Seconds until the next one is sent although none of those on the way has come."""


def main(own: str, other: str, port: int, rate: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        # Never lost here: forced, as the limit for others is lower (socket(7)).
        bound.setsockopt(socket.SOL_SOCKET, 33, _BUFFER)
        bound.bind((own, port))
        received: set[int] = set()
        pause = 0.0
        seen = came = 0
        """How far the other's numbers have come here, and ours there."""

        def receive() -> None:
            nonlocal pause, seen, came
            last = None
            while True:
                data = bound.recv(_SIZE)
                now = time.monotonic()
                if last is not None:
                    pause = max(pause, now - last)
                last = now
                number = int.from_bytes(data[:8], "big")
                received.add(number)
                seen = max(seen, number + 1)
                came = max(came, int.from_bytes(data[8:16], "big"))

        stopped = threading.Event()

        def listen() -> None:
            sys.stdin.readline()
            stopped.set()

        threading.Thread(target=receive, daemon=True).start()
        print("ready", flush=True)
        sys.stdin.readline()
        threading.Thread(target=listen, daemon=True).start()
        began = last_sent = time.monotonic()
        sent = 0
        filling = bytes(_SIZE - 16)
        while not stopped.wait(_STEP):
            now = time.monotonic()
            due = int((now - began) * rate)
            while sent < due and (sent - came < _MOST or now - last_sent > _AGAIN):
                head = sent.to_bytes(8, "big") + seen.to_bytes(8, "big")
                bound.sendto(head + filling, (other, port))
                sent += 1
                last_sent = now
        print(json.dumps({"sent": sent}), flush=True)
        for _ in sys.stdin:
            print(json.dumps({"received": len(received), "pause": pause}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
