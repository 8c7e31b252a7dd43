"""A name server that knows `ADDRESS.sslip.io` and every name below it, as the public one does.

Run as a program: ADDRESS is where it listens, on port 53.
"""

from __future__ import annotations

import re
import socket
import struct
import sys

_NAME = re.compile(r"(?:.*\.)?(\d+)-(\d+)-(\d+)-(\d+)\.sslip\.io")


def answer(question: bytes) -> bytes:
    """The reply to a question of one name (RFC 1035, section 4)."""
    at, labels = 12, []
    while size := question[at]:
        labels.append(question[at + 1 : at + 1 + size].decode().lower())
        at += 1 + size
    (kind,) = struct.unpack_from("!H", question, at + 1)
    found = _NAME.fullmatch(".".join(labels))
    records = b""
    if found and kind == 1:
        address = bytes(int(part) for part in found.groups())
        records = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + address
    flags = 0x8180 if found else 0x8183
    header = question[:2] + struct.pack("!HHHHH", flags, 1, 1 if records else 0, 0, 0)
    return header + question[12 : at + 5] + records


def main() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((sys.argv[1], 53))
        print("ready", flush=True)
        while True:
            question, client = server.recvfrom(512)
            server.sendto(answer(question), client)


if __name__ == "__main__":
    main()
