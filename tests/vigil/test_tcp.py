"""What connections of mode TCP need beside themselves; see `test_stream` for what they do."""

from __future__ import annotations

import contextlib

from octelium.vigil.tcp import Tcp
from tests.ingress.private_world import MODES, private_world
from tests.vigil.world import world


async def test_contexts_for_tls_are_the_environments() -> None:
    async with world() as here:
        mode = Tcp(here.vigil)
        assert mode.origins is here.environment.origins
        mode.close()


async def test_what_would_go_unrecorded_does_not_begin() -> None:
    async with private_world() as here:
        await here.serve("tcp://127.0.0.1:1", mode=MODES.TCP)
        here.vigil.may_record = lambda: False
        client = await here.connect()
        with contextlib.suppress(ConnectionResetError):
            assert await client.rest() == b""
        assert here.decider.asked == []
        assert here.sink.records == []
        await here.until(lambda: here.server.connections == 0)
