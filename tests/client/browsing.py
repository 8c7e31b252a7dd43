"""What a browser brings to a command line, made by hand."""

from __future__ import annotations

import http.client
from base64 import urlsafe_b64encode

from octelium.schema.pb import auth_v1_pb2 as auth


def response(token: str, challenge: bytes) -> str:
    """The value of `octelium_response`."""
    message = auth.ClientLoginResponse(authentication_token=token, code_challenge=challenge)
    return urlsafe_b64encode(message.SerializeToString()).rstrip(b"=").decode()


def visit(
    port: int,
    path: str,
    method: str = "GET",
    *,
    address: str = "127.0.0.1",
    host: str | None = None,
) -> http.client.HTTPResponse:
    """Ask the listener; the answer is read whole."""
    connection = http.client.HTTPConnection(address, port, timeout=60)
    try:
        connection.request(method, path, headers={"Host": host or f"localhost:{port}"})
        answer = connection.getresponse()
        answer.read()
        return answer
    finally:
        connection.close()
