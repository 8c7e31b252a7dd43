from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from octelium.client.tunnel import control
from tests.client.standin import DOMAIN, RefusedError

if TYPE_CHECKING:
    import pytest

    from tests.cli.runner import Runner
    from tests.client.standin import StandIn


def test_the_cluster_is_told(terminal: Runner, cluster: StandIn) -> None:
    result = terminal("octelium", "disconnect")
    assert (result.code, result.out) == (0, "")
    assert result.err.endswith("This Session was not connected to lab.test.\n")
    assert cluster.methods()[-1] == "Disconnect"


def test_a_connection_of_this_host_is_waited_for(
    terminal: Runner, cluster: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[dict[str, Any] | None] = [{"pid": 7}, {"pid": 7}, None]
    asked: list[tuple[Path, str]] = []

    def ask(place: control.Place, what: str) -> dict[str, Any] | None:
        asked.append((place.socket, what))
        assert "Disconnect" not in cluster.methods()
        return answers.pop(0)

    monkeypatch.setattr(control, "ask", ask)
    result = terminal("octelium", "disconnect")
    assert (result.code, result.err.endswith("Disconnected from lab.test.\n")) == (0, True)
    place = control.Place(Path(terminal.environ["OCTELIUM_HOME"]), DOMAIN)
    assert asked == [(place.socket, what) for what in ("end", "status", "status")]


def test_a_cluster_that_does_not_tell_is_told_all_the_same(
    terminal: Runner, cluster: StandIn
) -> None:
    cluster.failures["GetStatus"] = [RefusedError("PERMISSION_DENIED", "not you")]
    result = terminal("octelium", "disconnect")
    assert (result.code, cluster.methods()[-1]) == (0, "Disconnect")
    assert result.err.endswith("Disconnected from lab.test.\n")


def test_one_that_does_not_end(terminal: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ask", lambda *_: {"pid": 7})
    monkeypatch.setattr("octelium.cli.disconnect._PATIENCE", 0.0)
    result = terminal("octelium", "disconnect")
    assert result.code == 1
    assert "(process 7) does not end" in result.err
    assert "kill 7" in result.err
