from __future__ import annotations

from octelium.ingress.settings import Settings
from tests.vigil.world import DOMAIN, certificate_secret, world


async def test_what_is_counted() -> None:
    async with world(Settings()) as here:
        here.feed.put(certificate_secret(f"*.{DOMAIN}"))
        await here.raw(f"GET / HTTP/1.1\r\nHost: a.{DOMAIN}\r\nConnection: close\r\n\r\n".encode())
        await here.raw(b"\x16\xff\xff\x00\x02\x01\x00")
        counters = here.ingress.counters
        await here.until(lambda: counters.handshake_failures)
        assert counters.connections == 2
        assert counters.bad_first_bytes == 1
        assert counters.handshakes == 0
        assert counters.requests == 0
