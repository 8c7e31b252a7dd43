from __future__ import annotations

import pytest

from octelium.http.h1.requests import parse_request
from octelium.http.section import parse_section
from octelium.vigil.foreign_pages import may_act


@pytest.mark.parametrize(
    ("method", "fields", "acts"),
    [
        *((method, "", False) for method in ("GET", "HEAD", "OPTIONS")),
        *((method, "", True) for method in ("POST", "PUT", "PATCH", "DELETE", "PURGE", "get")),
        ("GET", "Connection: Upgrade\r\nUpgrade: websocket\r\n", True),
        ("GET", "Connection: Upgrade\r\nUpgrade: something\r\n", True),
        ("GET", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", True),
        ("GET", "Origin: https://evil.test\r\nSec-Fetch-Site: cross-site\r\n", False),
    ],
)
def test_what_may_change_something(method: str, fields: str, acts: bool) -> None:
    section = parse_section(f"Host: wiki.test\r\n{fields}".encode())
    assert may_act(parse_request(f"{method} / HTTP/1.1".encode(), section, b"https")) is acts
