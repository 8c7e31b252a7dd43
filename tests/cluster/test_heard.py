from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from octelium.cluster.heard import GATEWAY, SILENT, GatewayState, WorkerStates

if TYPE_CHECKING:
    from collections.abc import Callable

FOLLOWERS = [("worker-0", 0), (GATEWAY, 0)]


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Time stands still, but for what a test says."""
    now = 1000.0

    def pass_by(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr("octelium.cluster.heard.time", SimpleNamespace(monotonic=lambda: now))
    return pass_by


def test_a_gateway_is_well_while_it_says_so() -> None:
    state = GatewayState()
    assert state.check(FOLLOWERS) == "the gateway is silent"
    state.tell("")
    assert state.check(FOLLOWERS) == ""
    state.tell("packets to clients do not leave the engine")
    assert state.check(FOLLOWERS) == "packets to clients do not leave the engine"


def test_a_gateway_that_left_is_asked_anew(later: Callable[[float], None]) -> None:
    state = GatewayState()
    state.tell("")
    assert state.check([("worker-0", 0)]) == "the gateway is not connected"
    assert state.check(FOLLOWERS) == "the gateway is silent"
    state.tell("")
    later(SILENT + 1)
    assert state.check(FOLLOWERS) == "the gateway is silent"


def test_workers_are_counted_while_they_speak() -> None:
    now = 1000.0
    workers = WorkerStates({"worker-0": now}, 2)
    assert workers.trouble() == "1 of 2 workers are connected"
    workers.heard["worker-1"] = now - SILENT - 1
    assert workers.trouble() == "1 of 2 workers are connected"
    workers.heard["worker-1"] = now
    assert workers.trouble() == ""
