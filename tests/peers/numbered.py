"""Numbered datagrams both ways through a tunnel: `python -I numbered.py OWN OTHER PORT RATE`.

Both hosts run it; it says `ready`. From the first line on stdin to the second it sends RATE
datagrams a second, then prints how many it has `sent`. At each further one it prints how many
numbers it has `received`, and the longest `pause` between two in seconds.
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


def main(own: str, other: str, port: int, rate: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        # Never lost here: forced, as the limit for others is lower (socket(7)).
        bound.setsockopt(socket.SOL_SOCKET, 33, _BUFFER)
        bound.bind((own, port))
        received: set[int] = set()
        pause = 0.0

        def receive() -> None:
            nonlocal pause
            last = None
            while True:
                data = bound.recv(_SIZE)
                now = time.monotonic()
                if last is not None:
                    pause = max(pause, now - last)
                last = now
                received.add(int.from_bytes(data[:8], "big"))

        stopped = threading.Event()

        def listen() -> None:
            sys.stdin.readline()
            stopped.set()

        threading.Thread(target=receive, daemon=True).start()
        print("ready", flush=True)
        sys.stdin.readline()
        threading.Thread(target=listen, daemon=True).start()
        began = time.monotonic()
        sent = 0
        filling = bytes(_SIZE - 8)
        while not stopped.wait(_STEP):
            due = int((time.monotonic() - began) * rate)
            while sent < due:
                bound.sendto(sent.to_bytes(8, "big") + filling, (other, port))
                sent += 1
        print(json.dumps({"sent": sent}), flush=True)
        for _ in sys.stdin:
            print(json.dumps({"received": len(received), "pause": pause}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
