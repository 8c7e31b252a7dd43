from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from octelium.cluster import supervisor
from octelium.cluster.settings import Address, Settings
from octelium.cluster.sockets import ListenError, listen_tcp
from octelium.cluster.supervisor import StartError, Supervisor
from octelium.cluster.tunnel import TunnelError
from tests.e2e.cluster import wait_for
from tests.peers.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.conftest import SourceCluster


def settings(folder: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "domain": "a.example",
        "data_dir": folder / "data",
        "listen": (Address("127.0.0.1", free_port()),),
        "admin_listen": Address("127.0.0.1", free_port()),
        "workers": 1,
        "public_port": 443,
    }
    return Settings(**{**values, **changes})


@pytest.fixture(autouse=True)
def signals() -> Any:
    """The supervisor takes over the process' signals; give them back."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    before = [signal.getsignal(number) for number in numbers]
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_a_cluster_starts_tells_what_happens_and_stops(tmp_path: Path) -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    def announce(name: str, message: dict[str, Any]) -> None:
        told.append((name, message))
        if message.get("up"):
            threading.Timer(0.1, signal.raise_signal, [signal.SIGTERM]).start()

    Supervisor(settings(tmp_path), announce).run()
    assert told[-1] == ("supervisor", {"up": True})
    by_name = dict(told[:-1])
    assert by_name["worker-0"] == {"ready": True}
    assert by_name["control"]["ready"] is True
    assert len(by_name["control"]["token"]) > 150


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    wanted = settings(tmp_path)
    (taken,) = listen_tcp(wanted.listen[0], "--listen")
    with taken, pytest.raises(ListenError, match="another process listens there"):
        Supervisor(wanted, lambda *_: None).run()
    assert [*wanted.data_dir.iterdir()] == []


def test_a_process_that_cannot_start_ends_the_start(tmp_path: Path) -> None:
    wanted = settings(tmp_path)
    wanted.data_dir.mkdir()
    (wanted.data_dir / "logs.db").write_bytes(b"no database, but as long as one " * 64)
    with pytest.raises(StartError, match=r"logs\.db: .*not a database"):
        Supervisor(wanted, lambda *_: None).run()


def no_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise TunnelError("there is no TUN device")

    monkeypatch.setattr(supervisor, "prepare", refuse)


def test_a_machine_that_can_be_no_gateway_is_none_where_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_tunnel(monkeypatch)
    told: list[tuple[str, dict[str, Any]]] = []

    def announce(name: str, message: dict[str, Any]) -> None:
        told.append((name, message))
        if message.get("up"):
            threading.Timer(0.1, signal.raise_signal, [signal.SIGTERM]).start()

    Supervisor(settings(tmp_path, tunnel="auto"), announce).run()
    assert told[0] == ("supervisor", {"no_tunnel": "there is no TUN device"})
    assert {name for name, _ in told} == {"supervisor", "control", "worker-0"}


def test_a_machine_that_must_be_a_gateway_and_cannot_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_tunnel(monkeypatch)
    told: list[str] = []
    with pytest.raises(StartError, match="--tunnel on: there is no TUN device"):
        Supervisor(settings(tmp_path, tunnel="on"), lambda name, _: told.append(name)).run()
    assert told == []


def test_what_is_killed_is_started_again(running: SourceCluster) -> None:
    for name in ("worker-0", "control"):
        old = running.kill(name)
        wait_for(lambda name=name, old=old: running.children().get(name, old) != old)
    wait_for(running._ready)
    assert "starting it again" in running.log.read_text()
