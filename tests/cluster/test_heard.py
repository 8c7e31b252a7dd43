from __future__ import annotations

import time
from typing import TYPE_CHECKING

from octelium.cluster.heard import GATEWAY, SILENT, GatewayState, WorkerStates

if TYPE_CHECKING:
    import pytest

FOLLOWERS = [("worker-0", 0), (GATEWAY, 0)]


def test_a_gateway_is_well_while_it_says_so() -> None:
    state = GatewayState()
    assert state.check(FOLLOWERS) == "the gateway is silent"
    state.tell("")
    assert state.check(FOLLOWERS) == ""
    state.tell("packets to clients do not leave the engine")
    assert state.check(FOLLOWERS) == "packets to clients do not leave the engine"


def test_a_gateway_that_left_is_asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    state = GatewayState()
    state.tell("")
    assert state.check([("worker-0", 0)]) == "the gateway is not connected"
    assert state.check(FOLLOWERS) == "the gateway is silent"
    state.tell("")
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + SILENT + 1)
    assert state.check(FOLLOWERS) == "the gateway is silent"


def test_workers_are_counted_while_they_speak() -> None:
    now = time.monotonic()
    workers = WorkerStates({"worker-0": now}, 2)
    assert workers.trouble() == "1 of 2 workers are connected"
    workers.heard["worker-1"] = now - SILENT - 1
    assert workers.trouble() == "1 of 2 workers are connected"
    workers.heard["worker-1"] = now
    assert workers.trouble() == ""
