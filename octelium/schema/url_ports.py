"""The ports that schemes of upstream URLs mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urllib.parse import SplitResult

HTTP_PORTS = {"http": 80, "ws": 80, "h2c": 80, "grpc": 80, "https": 443, "wss": 443}
"""The port that a URL without one means, for schemes of HTTP."""

SCHEME_PORTS = HTTP_PORTS | {
    "ssh": 22, "dns": 53, "dot": 853, "postgres": 5432, "postgresql": 5432, "mysql": 3306,
    "redis": 6379, "mongodb": 27017, "rdp": 3389, "amqp": 5672, "ftp": 21, "socks5": 1080,
}  # fmt: skip
"""The port that a URL without one means."""


def url_port(parts: SplitResult) -> int | None:
    """The port that a URL names or means by its scheme."""
    return parts.port or SCHEME_PORTS.get(parts.scheme)
