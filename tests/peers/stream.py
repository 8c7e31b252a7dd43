"""One TCP stream through a tunnel: `python -I stream.py send|receive HOST PORT SECONDS [LEAST]`.

`receive` listens, says `ready`, and prints JSON: `bytes`, `seconds`, the longest `stall` between
two pieces, and whether all is as it was sent: `intact`. `send` sends as fast as it can, for so long
and until LEAST bytes are on their way.
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


def send(host: str, port: int, seconds: float, least: int = 0) -> None:
    with socket.create_connection((host, port), timeout=_PATIENCE) as made:
        end = time.monotonic() + seconds
        sent = 0
        while time.monotonic() < end or sent < least:
            made.sendall(_DATA)
            sent += len(_DATA)


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
        send(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), *map(int, sys.argv[5:]))
    else:
        receive(sys.argv[2], int(sys.argv[3]))
