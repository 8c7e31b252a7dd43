from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.client.tunnel import control, detach
from octelium.client.tunnel.errors import TunnelError

if TYPE_CHECKING:
    from tests.cli.runner import Runner
    from tests.client.standin import StandIn


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Arguments of what was begun in the background, and answers at once."""
    made: list[list[str]] = []

    def start(_place: object, arguments: list[str], *_: object, **__: object) -> str:
        made.append(arguments)
        return "Service wiki.default"

    monkeypatch.setattr(detach, "start", start)
    return made


def test_in_the_background_a_login_must_outlive_this_process(terminal: Runner) -> None:
    result = terminal("octelium", "connect", "-d", "--homedir", "mem")
    assert result.code == 1
    assert "--detach needs the login on disk" in result.err


def test_the_background_gets_everything_but_secrets(
    terminal: Runner, started: list[list[str]]
) -> None:
    secret = terminal.environ["OCTELIUM_AUTH_TOKEN"]
    words = (
        "-d --auth-token - -p wiki:1 --serve home --serve-all --no-dns --ip-mode v4 "
        "--dns-zone corp.example --localdns --localdns-addr 127.0.0.1:5300 "
        "--allow-range 203.0.113.0/24"
    )
    result = terminal(
        "octelium", "connect", *words.split(), "--scope", "api:user", stdin=f"{secret}\n"
    )
    assert (result.code, result.out) == (0, "")
    assert "Connected to lab.test in the background. `octelium disc" in result.err
    text = " ".join(started[0])
    assert secret not in text
    assert text.startswith("connect --domain lab.test --homedir /")
    assert text.endswith(
        "--publish wiki:1 --serve home --scope api:user --dns-zone corp.example "
        "--allow-range 203.0.113.0/24 --serve-all --no-dns --localdns --ip-mode v4 "
        "--localdns-addr 127.0.0.1:5300 --engine auto --implementation auto"
    )


@pytest.mark.usefixtures("started")
def test_what_there_is_now_is_told(terminal: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {
        "addresses": ["100.65.0.7/32"],
        "published": [{"service": "wiki.default", "address": "localhost", "port": 8080}],
        "refused": ["wiki.default is published, but its Policies refuse you (403)"],
    }
    monkeypatch.setattr(control, "ask", lambda *_: connection)
    said = terminal("octelium", "connect", "-d", "-p", "wiki:8080").err
    assert "Address: 100.65.0.7/32.\nPublished: wiki.default at localhost:8080.\n" in said
    assert "Warning: wiki.default is published, but its Policies refuse you (403)\n" in said


def test_the_session_goes_on_until_the_background_ends(
    terminal: Runner, cluster: StandIn, started: list[list[str]]
) -> None:
    terminal.environ["OCTELIUM_LOGOUT"] = "true"
    result = terminal("octelium", "connect", "-d")
    assert result.code == 0
    assert "in the background: Service wiki.default answers." in result.err
    assert "--logout" in started[0]
    assert "Logout" not in cluster.methods()


def test_what_does_not_work_is_told(
    terminal: Runner, cluster: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: object, **__: object) -> str:
        raise TunnelError("nothing answered through the tunnel within 30 s")

    monkeypatch.setattr(detach, "start", start)
    result = terminal("octelium", "connect", "-d")
    assert result.code == 1
    assert "Error: nothing answered through the tunnel" in result.err
    assert "Connect" not in cluster.methods()
