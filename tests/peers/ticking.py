"""An upstream that never ends: `python ticking.py PORT NAME`.

`GET /` answers NAME; `/stream` sends a line each 10 ms, and so does a WebSocket at `/ws`. Whatever
comes to PORT + 1 is sent back.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_EVERY = 0.01
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""
_FRAME = b"\x81\x05tick\n"
_CHUNK = b"5\r\ntick\n\r\n"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def do_GET(self) -> None:
        if self.path == "/stream":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._tick(_CHUNK)
        elif self.path == "/ws":
            given = self.headers["Sec-WebSocket-Key"].encode()
            accept = base64.b64encode(hashlib.sha1(given + _GUID).digest()).decode()
            self.send_response(101)
            for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade")):
                self.send_header(name, value)
            self.send_header("Sec-WebSocket-Accept", accept)
            self.end_headers()
            self._tick(_FRAME)
        else:
            body = sys.argv[2].encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def _tick(self, piece: bytes) -> None:
        self.close_connection = True
        try:
            while True:
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(_EVERY)
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    """Many connections at once."""

    request_queue_size = 128
    daemon_threads = True


def _echo(one: socket.socket) -> None:
    with one:
        try:
            while data := one.recv(1 << 16):
                one.sendall(data)
        except OSError:
            return


def _echoing(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listening:
        while True:
            one, _ = listening.accept()
            threading.Thread(target=_echo, args=(one,), daemon=True).start()


if __name__ == "__main__":
    number = int(sys.argv[1])
    threading.Thread(target=_echoing, args=(number + 1,), daemon=True).start()
    Server(("127.0.0.1", number), Handler).serve_forever()
