"""How a flow ends when something unforeseen happens; see `test_udp` for what flows do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.ingress.private_world import MODES, PrivateWorld, private_world
from tests.vigil.test_udp import Caller, echo_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def here() -> AsyncIterator[PrivateWorld]:
    async with private_world() as made:
        await made.serve("udp://127.0.0.1:9", mode=MODES.UDP)
        yield made


async def test_a_decision_that_breaks(
    here: PrivateWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def decide(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(here.decider, "decide", decide)
    with Caller(here) as ann:
        ann.send(b"x")
        await here.until(lambda: "a bug" in caplog.text)
    assert not here.udp.flows
    assert not here.vigil.running
    assert here.sink.records == []


async def test_no_socket_for_the_client(
    here: PrivateWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def flow(*_: Any) -> None:
        raise OSError("no link process")

    monkeypatch.setattr(here.sockets, "flow", flow)
    with Caller(here) as ann:
        ann.send(b"x")
        await here.until(lambda: len(here.sink.records) == 2)
    assert "no link process" in here.infos()[1][3]
    assert not here.udp.flows


async def test_what_would_go_unrecorded_does_not_begin(here: PrivateWorld) -> None:
    here.vigil.may_record = lambda: False
    with Caller(here) as ann:
        ann.send(b"x")
        await here.until(lambda: here.server.counters.datagrams == 1)
    assert here.decider.asked == []
    assert not here.udp.flows


async def test_the_service_moves(here: PrivateWorld) -> None:
    echo = await echo_at()
    await here.serve(f"udp://127.0.0.1:{echo.port}", mode=MODES.UDP)
    with Caller(here) as ann:
        assert await ann.says(b"a") == b"A"
        await here.serve(f"udp://127.0.0.1:{echo.port}", mode=MODES.UDP, addresses=("127.64.0.99",))
        assert not here.udp.flows
    with Caller(here, to="127.64.0.99") as ann:
        assert await ann.says(b"b") == b"B"
    echo.transport.close()


async def test_what_waits_for_a_decision_is_bounded_in_bytes(here: PrivateWorld) -> None:
    here.decider.later = True
    with Caller(here) as ann:
        for number in range(1, 6):
            ann.send(b"x" * 60_000)
            await here.until(lambda: here.server.counters.datagrams == number)  # noqa: B023
        (flow,) = here.udp.flows.values()
        assert len(flow._held) == 2
        here.decider.delay.set()
        await here.until(lambda: not flow._held)
