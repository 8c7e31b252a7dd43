"""The demonstration's upstream: a small HTTP server that demands an API key.

Usage: inventory_server.py PORT API_KEY
"""

from __future__ import annotations

import hmac
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STOCK = {"apples": 12, "pears": 7}


class Handler(BaseHTTPRequestHandler):
    """Answers with the stock, or with 401 when the key is missing or wrong."""

    protocol_version = "HTTP/1.1"
    key = ""

    def do_GET(self) -> None:
        given = self.headers.get("X-Api-Key", "")
        if hmac.compare_digest(given, self.key):
            status, body = 200, {"stock": STOCK, "path": self.path}
        else:
            status, body = 401, {"error": "X-Api-Key is missing or wrong"}
        data = json.dumps(body).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET  # noqa: N815  (the base class looks for this name)

    def log_message(self, *_: object) -> None:
        """Nothing: the access log is Octelium's."""


if __name__ == "__main__":
    Handler.key = sys.argv[2]
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
