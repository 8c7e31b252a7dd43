"""Upstreams that repeat what they get, as programs for `python -c` on hosts without anything."""

from __future__ import annotations

STREAMS = """
import socket, threading
def serve(one):
    with one:
        while data := one.recv(4096):
            one.sendall(data)
with socket.create_server(("127.0.0.1", 8001)) as listening:
    while True:
        one, _ = listening.accept()
        threading.Thread(target=serve, args=(one,), daemon=True).start()
"""
"""Of TCP, at port 8001."""

DATAGRAMS = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
    bound.bind(("127.0.0.1", 8002))
    while True:
        data, source = bound.recvfrom(4096)
        bound.sendto(data, source)
"""
"""Of UDP, at port 8002."""
