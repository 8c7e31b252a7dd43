"""The ports that schemes of upstream URLs mean."""

from __future__ import annotations

SCHEME_PORTS = {
    "http": 80, "ws": 80, "h2c": 80, "https": 443, "wss": 443, "ssh": 22, "dns": 53, "dot": 853,
    "postgres": 5432, "postgresql": 5432, "mysql": 3306, "redis": 6379, "mongodb": 27017,
    "rdp": 3389, "amqp": 5672, "ftp": 21, "socks5": 1080,
}  # fmt: skip
"""The port that a URL without one means."""
