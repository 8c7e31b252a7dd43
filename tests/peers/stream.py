"""One TCP stream through a tunnel: `python -I stream.py send|receive HOST PORT SECONDS`.

`receive` listens, says `ready`, and prints JSON: `bytes`, `seconds`, the longest `stall` between
two pieces, and whether all is as it was sent: `intact`. `send` sends as fast as it can.
"""

from __future__ import annotations

import json
import random
import socket
import sys
import time

_PIECE = 1 << 16
_DATA = random.Random(1).randbytes(_PIECE)  # no two parts of it are alike
_PATIENCE = 60


def send(host: str, port: int, seconds: float) -> None:
    with socket.create_connection((host, port), timeout=_PATIENCE) as made:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            made.sendall(_DATA)


def receive(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listening:
        print("ready", flush=True)
        listening.settimeout(_PATIENCE)
        made, _ = listening.accept()
    made.settimeout(_PATIENCE)
    total = 0
    stall = 0.0
    intact = True
    expected = memoryview(_DATA * 17)
    began = before = time.monotonic()
    with made:
        while piece := made.recv(1 << 20):
            now = time.monotonic()
            stall = max(stall, now - before)
            before = now
            at = total % _PIECE
            intact = intact and piece == expected[at : at + len(piece)]
            total += len(piece)
    found = {"bytes": total, "seconds": before - began, "stall": stall, "intact": intact}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    else:
        receive(sys.argv[2], int(sys.argv[3]))
