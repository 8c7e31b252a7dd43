"""Strangers who have the login host wait for them, and read what they send."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import H2Connection

from octelium.vigil.anteroom import AnteroomLimits
from tests.e2e.cluster import DOMAIN

if TYPE_CHECKING:
    from tests.security.lab import Lab

LIMITS = AnteroomLimits()
STREAMS = 16
"""Unfinished requests that one connection may have."""
CONNECTIONS = LIMITS.unfinished_each // STREAMS + 1
FORM = "application/x-www-form-urlencoded"


def trusting(lab: Lab) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(lab.cluster.data / "ca.pem"))
    context.set_alpn_protocols(["http/1.1"])
    return context


def connected(lab: Lab, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", lab.cluster.port), timeout=60)
    return context.wrap_socket(plain, server_hostname=DOMAIN)


def begin(lab: Lab, context: ssl.SSLContext, path: str, address: str, body: bytes) -> ssl.SSLSocket:
    """Send a request whose body lacks its last byte."""
    secured = connected(lab, context)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {DOMAIN}:{lab.cluster.port}\r\nUser-Agent: Mozilla/5.0\r\n"
        f"X-Forwarded-For: {address}\r\nContent-Type: {FORM}\r\nContent-Length: {len(body) + 1}"
        "\r\n\r\n"
    )
    secured.sendall(head.encode() + body)
    return secured


def begin_many(lab: Lab, path: str, address: str, body: bytes) -> ssl.SSLSocket:
    """Several of them on one connection, so that the first does not wait for as long as it may."""
    context = trusting(lab)
    context.set_alpn_protocols(["h2"])
    secured = connected(lab, context)
    state = H2Connection(H2Configuration(header_encoding=None))
    state.initiate_connection()
    head = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", path),
        (":authority", f"{DOMAIN}:{lab.cluster.port}"),
        ("user-agent", "Mozilla/5.0"),
        ("x-forwarded-for", address),
        ("content-type", FORM),
        ("content-length", f"{len(body) + 1}"),
    ]
    for _ in range(STREAMS):
        number = state.get_next_available_stream_id()
        state.send_headers(number, head)
        state.send_data(number, body)
    secured.sendall(state.data_to_send())
    return secured


def connections_of_control(lab: Lab) -> int:
    return len(list(Path(f"/proc/{lab.cluster.children()['control']}/fd").iterdir()))


def memory_of_control(lab: Lab) -> int:
    """Bytes."""
    status = Path(f"/proc/{lab.cluster.children()['control']}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) << 10


def test_bodies_that_never_end_take_nothing_from_others(lab: Lab) -> None:
    context, before = trusting(lab), connections_of_control(lab)
    with ExitStack() as stack:
        what = ("/callback", "203.0.113.1", b"a=b")
        oldest = stack.enter_context(begin(lab, context, *what))
        for _ in range(CONNECTIONS):
            stack.enter_context(begin_many(lab, *what))
        # The oldest make room, and learn it.
        assert oldest.recv(64).startswith(b"HTTP/1.1 503 ")
        assert connections_of_control(lab) <= before + 10
        visitor = lab.visitor()
        assert visitor.get("/login").status_code == 200
        lab.sign_in(visitor, email="ann@example.com")
        assert visitor.is_signed_in


def test_bodies_of_strangers_fill_no_memory(lab: Lab) -> None:
    context, before = trusting(lab), memory_of_control(lab)
    with ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(begin(lab, context, "/callback", "203.0.113.2", b"x" * (500 << 10)))
        assert memory_of_control(lab) < before + (8 << 20)
        assert lab.visitor().get("/login").status_code == 200


def test_a_request_that_breaks_its_handler_breaks_no_other(lab: Lab) -> None:
    """The server behind the front door would close the connection that others' requests share."""
    for _ in range(20):
        deep = lab.visitor().send(
            "POST",
            "/callback/success/approval",
            {"Content-Type": "application/json"},
            content=b"[" * 4000,
        )
        assert deep.status_code in (400, 403)
        answer = lab.visitor().post("/oauth2/device_authorization", {"client_id": "cli"})
        assert answer.status_code == 200
