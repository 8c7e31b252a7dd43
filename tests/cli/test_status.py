from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from octelium.client.api import SESSION_END_TRAILER
from octelium.client.tunnel import control
from tests.client.standin import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.runner import Runner
    from tests.client.standin import StandIn

EXPECTED = {
    "domain": "lab.test",
    "user": {"metadata": {"name": "root"}, "spec": {"type": "WORKLOAD"}},
    "session": {"metadata": {"name": "root-000001"}},
}


def test_who_one_is(terminal: Runner) -> None:
    result = terminal("octelium", "status", "-o", "json")
    assert json.loads(result.out) == EXPECTED
    yaml = terminal("octelium", "status", "-o", "yaml").out
    assert "domain: lab.test\n" in yaml
    assert "    type: WORKLOAD\n" in yaml


def test_a_connection_of_this_host(terminal: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ask", lambda *_: {"state": "connected", "pid": 7})
    told = json.loads(terminal("octelium", "status", "-o", "json").out)
    assert told == {**EXPECTED, "connection": {"state": "connected", "pid": 7}}
    yaml = terminal("octelium", "status", "-o", "yaml").out
    assert "connection:\n  state: connected\n" in yaml


def test_in_words(terminal: Runner, cluster: StandIn) -> None:
    end = Timestamp(seconds=1_900_000_059).SerializeToString()
    cluster.trailers["GetStatus"] = {SESSION_END_TRAILER: end}
    assert terminal("octelium", "status").out == (
        "Cluster:    lab.test\n"
        "User:       root (WORKLOAD)\n"
        "Session:    root-000001\n"
        "State:      active, ends 2030-03-17 17:47 UTC\n"
        "Connection: none\n"
    )


@pytest.mark.parametrize("sent", [{}, {SESSION_END_TRAILER: b"\xff"}])
def test_a_cluster_that_does_not_tell_the_end(
    terminal: Runner, cluster: StandIn, sent: dict[str, bytes]
) -> None:
    cluster.trailers["GetStatus"] = sent
    assert "State:      active\n" in terminal("octelium", "status").out


@pytest.mark.parametrize(
    ("connection", "shown"),
    [
        (
            {"state": "connected", "since": "2026-01-02T03:04:05Z", "problem": ""},
            "connected since 2026-01-02 03:04 UTC",
        ),
        (
            {"state": "away", "problem": "not connected at present"},
            "away: not connected at present",
        ),
        ({}, "none"),
    ],
)
def test_a_connection_in_words(
    terminal: Runner, monkeypatch: pytest.MonkeyPatch, connection: dict[str, str], shown: str
) -> None:
    monkeypatch.setattr(control, "ask", lambda *_: connection)
    assert f"Connection: {shown}\n" in terminal("octelium", "status").out


def test_a_connection_that_was_killed(terminal: Runner, cluster: StandIn, tmp_path: Path) -> None:
    """The Cluster keeps its connection for a while: it is not another host's."""
    place = control.Place(tmp_path / "home", "lab.test")
    with place.hold():
        pass
    control._bound(place).close()
    killed = "Connection: none: `octelium connect` was killed here"
    assert (
        f"{killed}; begin it again, or: octelium disconnect\n" in terminal("octelium", "status").out
    )
    cluster.connected = True
    assert f"{killed}, which the Cluster does not know yet" in terminal("octelium", "status").out
    assert terminal("octelium", "disconnect").code == 0
    assert not place.socket.exists()
    assert "by another host or home directory" in terminal("octelium", "status").out


@pytest.mark.parametrize("output", ["json", "text"])
def test_the_connection_is_told_of_when_the_cluster_does_not_answer(
    terminal: Runner, cluster: StandIn, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    cluster.failures["GetStatus"] = [RefusedError("PERMISSION_DENIED", "not you")] * 2
    assert terminal("octelium", "status").out == ""
    connection = {"state": "away", "healthy": False, "problem": "not connected at present"}
    monkeypatch.setattr(control, "ask", lambda *_: connection)
    result = terminal("octelium", "status", "-o", output)
    assert (result.code, "not you" in result.err) == (1, True)
    if output == "json":
        assert json.loads(result.out) == {"domain": "lab.test", "connection": connection}
    else:
        assert "State:      unknown\n" in result.out
        assert "Connection: away: not connected at present\n" in result.out


def test_what_the_connection_offers(terminal: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {
        "state": "connected",
        "since": "2026-01-02T03:04:05.678Z",
        "addresses": ["100.65.0.7/32"],
        "published": [{"service": "wiki.default", "address": "::1", "port": 8080}],
        "served": [{"service": "home.default", "port": 20_000, "upstream": "127.0.0.1:9"}],
        "dns": {"names": "names are looked up", "problem": ""},
    }
    monkeypatch.setattr(control, "ask", lambda *_: connection)
    assert terminal("octelium", "status").out.endswith(
        "Connection: connected since 2026-01-02 03:04 UTC\n"
        "Address:    100.65.0.7/32\n"
        "Names:      names are looked up\n"
        "Published:  wiki.default at [::1]:8080\n"
        "Served:     home.default from 127.0.0.1:9\n"
    )


def test_a_table_makes_no_sense(terminal: Runner) -> None:
    result = terminal("octelium", "status", "-o", "table")
    assert result.code == 2
    assert "invalid output format 'table'" in result.err
