"""Row 17 of the security table, through tunnels: what is open ends when the right to it does.

The decision point is the real one, and so are the sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from octelium.policy.decision import Outcome
from tests.ingress.private_world import ANN, MODES, WIKI, PrivateWorld, private_world
from tests.octovigil.world import World, allow, inline
from tests.peers.timing import best_awaited
from tests.vigil.test_stream import Echo
from tests.vigil.test_udp import Caller, echo_at
from tests.vigil.world import Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from octelium.policy.decision import Decision

MOST = 0.1
"""Seconds from a commit to the end of a stream."""
CONNECTED = {"isConnected": True, "connection": {"addresses": [{"v4": f"{ANN}/32"}]}}
ALLOWED = inline(allow("ctx.user.metadata.name == 'ann' && ctx.session.status.type == 'CLIENT'"))


class Tunnelled:
    def __init__(self, here: PrivateWorld) -> None:
        self.here = here
        here.feed.delete(here.sessions[ANN])
        self.world = World(here.replica)
        here.vigil.decider = self.world.octovigil
        self.world.now = time.time()
        self.world.session("ann-1", "ann", status=CONNECTED)
        self.where: dict[str, Any] = {}

    def serve(self, mode: str, url: str, **spec: Any) -> None:
        self.where = {"mode": mode, "config": {"upstream": {"url": url}}}
        self.put(authorization=ALLOWED, **spec)

    def put(self, **spec: Any) -> None:
        self.world.service(
            "wiki.default",
            status={"port": self.here.port, "addresses": [{"dualStackIP": {"ipv4": WIKI}}]},
            **self.where,
            **{"isPublic": False, **spec},
        )


@asynccontextmanager
async def tunnelled() -> AsyncIterator[Tunnelled]:
    async with private_world() as here:
        made = Tunnelled(here)
        try:
            yield made
        finally:
            made.world.octovigil.close()


CHANGES: dict[str, Callable[[Tunnelled], None]] = {
    "the Session is deleted": lambda t: t.world.remove("Session", "ann-1"),
    "the Session is rejected": lambda t: t.world.session(
        "ann-1", "ann", status=CONNECTED, state="REJECTED"
    ),
    "the Session is locked": lambda t: t.world.session(
        "ann-1", "ann", status={**CONNECTED, "isLocked": True}
    ),
    "the Session is disconnected": lambda t: t.world.session("ann-1", "ann"),
    "the Session's address is another's": lambda t: t.world.session(
        "ann-2", "ann", status=CONNECTED
    ),
    "the User is disabled": lambda t: t.world.user("ann", isDisabled=True),
    "the User is deleted": lambda t: t.world.remove("User", "ann"),
    "the rule is gone": lambda t: t.put(),
    "the Service is disabled": lambda t: t.put(authorization=ALLOWED, isDisabled=True),
    "the Service is deleted": lambda t: t.world.remove("Service", "wiki.default"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_streams(change: str) -> None:
    async def cut() -> float:
        async with tunnelled() as made:
            made.serve("TCP", f"tcp://127.0.0.1:{echo.port}")
            await made.here.until(lambda: made.here.server.listening)
            client = await made.here.connect()
            await client.send(b"a")
            assert await client.exactly(1) == b"A"
            began = time.perf_counter()
            CHANGES[change](made)
            with contextlib.suppress(ConnectionResetError):
                assert await client.rest() == b""
            seconds = time.perf_counter() - began
            assert not made.here.vigil.running
            assert made.here.infos()[-1][0] == "END"
            return seconds

    echo = Echo()
    await echo.start()
    assert await best_awaited(cut, MOST) < MOST
    await echo.close()


@pytest.mark.parametrize("change", CHANGES)
async def test_flows(change: str) -> None:
    async def cut() -> float:
        async with tunnelled() as made:
            made.serve("UDP", f"udp://127.0.0.1:{echo.port}")
            await made.here.until(lambda: made.here.server.listening)
            with Caller(made.here) as ann:
                assert await ann.says(b"a") == b"A"
                began = time.perf_counter()
                CHANGES[change](made)
                await made.here.until(lambda: not made.here.udp.flows)
                seconds = time.perf_counter() - began
                assert made.here.infos()[-1][0] == "END"
                if "another's" not in change:
                    with contextlib.suppress(ConnectionRefusedError):  # nobody listens any more
                        ann.send(b"b")
                        await asyncio.sleep(0.05)
                        assert ann.hears_nothing()
                return seconds

    echo = await echo_at()
    assert await best_awaited(cut, MOST) < MOST
    echo.transport.close()


@pytest.mark.parametrize("change", CHANGES)
async def test_requests_on_a_connection_that_is_kept(change: str) -> None:
    async with tunnelled() as made:
        made.serve("HTTP", made.here.base.url)
        await made.here.until(lambda: made.here.server.listening)
        client = await made.here.connect()
        assert (await client.request(host="wiki.local", token=None)).status == 200
        CHANGES[change](made)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            reply = await client.request(host="wiki.local", token=None)
            assert reply.status in (401, 403, 500, 503)
        assert len(made.here.base.origins.requests) == 1


async def test_a_session_that_is_no_clients_has_no_tunnel() -> None:
    async with tunnelled() as made:
        made.world.session("ann-1", "ann", status=CONNECTED, kind="CLIENTLESS")
        made.serve("HTTP", made.here.base.url)
        await made.here.until(lambda: made.here.server.listening)
        client = await made.here.connect()
        assert (await client.request(host="wiki.local", token=None)).status == 403
        assert made.here.base.origins.requests == []


@pytest.mark.parametrize("public", [True, False])
async def test_a_sessions_address_at_the_front_door_is_no_login(public: bool) -> None:
    """Whose address it is counts only for what the tunnel device vouches for."""
    async with tunnelled() as made:
        made.serve("HTTP", made.here.base.url)
        made.put(authorization=ALLOWED, isPublic=public)
        base = made.here.base
        told = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Octelium-Session-UID")
        for source in (ANN, "127.0.0.1"):
            streams = await asyncio.open_connection("127.0.0.1", base.port, local_addr=(source, 0))
            client = Client(*streams)
            for fields in ({}, dict.fromkeys(told, ANN), {"Forwarded": f"for={ANN}"}):
                reply = await client.request(token=None, fields=fields)
                assert reply.status == (401 if public else 404)
            client.close()
        assert base.origins.requests == []
        # The same Session, where it is one.
        made.put(authorization=ALLOWED)
        await made.here.until(lambda: made.here.server.listening)
        through = await made.here.connect()
        assert (await through.request(host="wiki.local", token=None)).status == 200


REFUSALS = [each for each in Outcome if each is not Outcome.ALLOWED]


class Broken:
    """A decision point that raises, which none may."""

    def decide(self, *_: object) -> Decision:
        raise RuntimeError("broken")

    refused = watch = decide


@pytest.mark.parametrize("outcome", [*REFUSALS, None], ids=str)
@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
async def test_whatever_is_not_allowed_reaches_no_upstream(
    outcome: Outcome | None, later: bool
) -> None:
    """In every mode of the private network; None is a decision point that raises."""
    stream, flow = Echo(), await echo_at()
    await stream.start()
    async with private_world() as here:
        if outcome is None:
            here.vigil.decider = Broken()  # type: ignore[assignment]  # that is the point
        else:
            here.decider.verdict, here.decider.later = outcome, later
        here.decider.delay.set()
        await here.serve(f"tcp://127.0.0.1:{stream.port}", mode=MODES.TCP)
        client = await here.connect()
        with contextlib.suppress(ConnectionError):
            await client.send(b"a")
            assert await client.rest() == b""
        await here.serve(f"udp://127.0.0.1:{flow.port}", mode=MODES.UDP)
        await here.until(lambda: any(kind == "udp" for kind, *_ in here.server.listening))
        with Caller(here) as ann:
            ann.send(b"a")
            await here.until(lambda: len(here.decider.asked) == 2 or outcome is None)
            await asyncio.sleep(0.05)
            assert ann.hears_nothing()
        await here.serve(mode=MODES.HTTP)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            assert (await here.request()).status >= 400
        assert stream.connections == 0
        assert flow.got == []
        assert here.base.origins.requests == []
    await stream.close()
    flow.transport.close()
