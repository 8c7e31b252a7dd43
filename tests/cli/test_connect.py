from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from octelium.cli import connect as module
from octelium.client.dns.wanted import NamesWanted
from octelium.schema.pb import user_v1_pb2 as user
from tests.client.standin import ASSERTION, TOKEN

if TYPE_CHECKING:
    from octelium.client.tunnel.wanted import Wanted
    from tests.cli.runner import Runner
    from tests.client.standin import StandIn


@pytest.mark.parametrize(
    "words",
    [
        ("--essh",),
        ("--essh-user", "root"),
        ("--esocks5",),
        ("--tunnel-mode", "quicv0"),
    ],
)
def test_what_comes_later_is_said_and_nothing_begins(
    terminal: Runner, cluster: StandIn, words: tuple[str, ...]
) -> None:
    result = terminal("octelium", "connect", *words)
    assert result.code == 2
    assert f"{words[0]}" in result.err
    assert "not offered yet" in result.err
    assert cluster.calls == []


@pytest.mark.parametrize("name", ["OCTELIUM_ESSH", "OCTELIUM_ESOCKS5", "OCTELIUM_QUIC"])
def test_variables_ask_for_the_same(terminal: Runner, name: str) -> None:
    terminal.environ[name] = "true"
    result = terminal("octelium", "connect")
    assert (result.code, "not offered yet" in result.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--implementation", "kernel"), "kernel: not offered"),
        (("--implementation", "quick"), "quick"),
        (("--ip-mode", "v5"), "v5"),
        (("--engine", "kernel"), "kernel"),
        (("-p", "wiki"), "-p 'wiki': a part is missing. Write SERVICE"),
        (("--serve", "a.b.c"), "not the name of a Service"),
        (("--localdns-addr", "here"), "--localdns-addr 'here': 'here' is not an IP address. Write"),
        (("--localdns-addr", ""), "'' is not an IP address"),
        (("--allow-range", "8.8.8.8/8"), "--allow-range '8.8.8.8/8': 8.8.8.8/8 has host bits set"),
        (("--allow-range", "::/0"), "--allow-range '::/0': that is everything"),
        (("--dns-zone", "a..b"), "--dns-zone 'a..b': not a domain name. Write it as in"),
        (("--auth-token", "T", "--assertion", "k8s"), "exclude each other"),
    ],
)
def test_mistakes_of_the_command_line(
    terminal: Runner, cluster: StandIn, words: tuple[str, ...], problem: str
) -> None:
    result = terminal("octelium", "connect", *words)
    assert result.code == 2
    assert problem in result.err
    assert cluster.calls == []


def test_a_service_that_does_not_exist(terminal: Runner, cluster: StandIn) -> None:
    result = terminal("octelium", "connect", "--implementation", "gvisor", "-p", "wiki:1")
    assert result.code == 1
    assert "Signing in to lab.test" in result.err
    assert "there is no Service wiki.default" in result.err
    assert "Connect" not in cluster.methods()


def test_the_clusters_refusal(terminal: Runner, cluster: StandIn) -> None:
    from tests.client.standin import RefusedError

    refusal = "this Cluster has no Gateway, so there are no tunnels to connect to"
    cluster.failures["Connect"] = [RefusedError("PERMISSION_DENIED", refusal)]
    result = terminal("octelium", "connect", "--implementation", "gvisor")
    assert result.code == 1
    assert refusal in result.err
    assert result.out == ""


def test_nobody_is_logged_in(terminal: Runner, cluster: StandIn) -> None:
    del terminal.environ["OCTELIUM_AUTH_TOKEN"]
    result = terminal("octelium", "connect")
    assert result.code == 1
    assert "not logged in" in result.err
    assert cluster.calls == []


@pytest.mark.parametrize(
    ("words", "method"),
    [
        (("--auth-token", TOKEN), "AuthenticateWithAuthenticationToken"),
        (("--assertion", "jwt:env=MINE"), "AuthenticateWithAssertion"),
    ],
)
def test_it_signs_in_with_what_is_given(
    terminal: Runner,
    cluster: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    method: str,
) -> None:
    async def run(*_: Any) -> None:
        pass

    monkeypatch.setattr(module, "_run", run)
    terminal.environ["MINE"] = ASSERTION
    given = ("--implementation", "gvisor", *words, "--scope", "api:user,service:wiki")
    assert terminal("octelium", "connect", *given).code == 0
    (call,) = (call for call in cluster.calls if call.method == method)
    assert list(call.request.scopes) == ["api:user", "service:wiki"]
    del terminal.environ["OCTELIUM_DOMAIN"]
    assert terminal("octelium", "context", "show").out == "lab.test\n"
    assert (Path(terminal.environ["OCTELIUM_HOME"]) / "context.json").is_file()
    told = terminal("octelium", "connect", *given).err
    assert (
        "Logged in to lab.test already as User root: what was given to sign in is not used." in told
    )
    assert "--scope limits new Sessions; this one stays as it was made" in told


@pytest.mark.parametrize(
    ("words", "is_warned"),
    [
        (("gvisor",), True),
        (("gvisor", "-p", "wiki:8080"), False),
        (("gvisor", "--serve-all"), False),
        (("gvisor", "--serve", "wiki"), False),
        (("tun",), False),
    ],
)
def test_a_connection_of_no_use_is_warned_of(
    terminal: Runner, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], is_warned: bool
) -> None:
    async def run(*_: Any) -> None:
        pass

    monkeypatch.setattr(module, "_run", run)
    result = terminal("octelium", "connect", "--implementation", *words)
    assert result.code == 0
    assert ("nothing can be reached" in result.err) == is_warned


@pytest.mark.parametrize("wanted", [False, True])
def test_the_end_of_a_connection_is_that_of_the_session_if_wanted(
    terminal: Runner, cluster: StandIn, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    from octelium.client.tunnel.running import Running

    async def run(self: Running, _stopped: object) -> None:
        await asyncio.to_thread(self._api.call, "GetStatus", user.GetStatusRequest())

    monkeypatch.setattr(Running, "run", run)
    words = ("--logout",) if wanted else ()
    result = terminal("octelium", *words, "connect", "--implementation", "gvisor")
    assert (result.code, "Logged out of lab.test." in result.err) == (0, wanted)
    assert ("Logout" in cluster.methods()) == wanted


@pytest.mark.parametrize(
    ("words", "environ", "place", "zones", "in_container"),
    [
        ((), {}, None, (), False),
        (("--localdns",), {}, ("127.0.0.100", 53), (), False),
        ((), {"OCTELIUM_LOCAL_DNS_SERVER": "true"}, ("127.0.0.100", 53), (), False),
        (("--localdns-addr", "[::1]:5300"), {}, ("::1", 5300), (), False),
        (("--dns-zone", "A.b.", "--dns-zone", "c"), {}, None, ("a.b", "c"), False),
        ((), {"OCTELIUM_CONTAINER_MODE": "true"}, None, (), True),
    ],
)
def test_what_is_wanted_of_names(
    terminal: Runner,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    environ: dict[str, str],
    place: tuple[str, int] | None,
    zones: tuple[str, ...],
    in_container: bool,
) -> None:
    found: list[NamesWanted] = []

    async def run(*given: Any) -> None:
        found.append(given[3])

    monkeypatch.setattr(module, "_run", run)
    terminal.environ.update(environ)
    assert terminal("octelium", "connect", "--implementation", "gvisor", *words).code == 0
    assert found == [NamesWanted(place, zones, in_container)]


def test_a_device_without_ipv6(
    terminal: Runner, cluster: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Wanted] = []

    async def run(*given: Any) -> None:
        found.append(given[2])

    monkeypatch.setattr(module, "_run", run)
    monkeypatch.setattr("octelium.client.tunnel.host.has_ipv6", lambda: False)
    result = terminal("octelium", "connect", "--implementation", "tun", "--ip-mode", "v6")
    assert (result.code, "this host has no IPv6" in result.err) == (2, True)
    assert cluster.calls == []
    assert terminal("octelium", "connect", "--implementation", "tun").code == 0
    assert terminal("octelium", "connect", "--implementation", "gvisor").code == 0
    assert [each.modes for each in found] == [("v4",), ("both", "v4", "v6")]


def test_what_a_client_left_is_undone_before_anything_is_looked_up(
    terminal: Runner, cluster: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def repair(warn: Any) -> None:
        assert cluster.calls == []
        warn("/etc/resolv.conf still names a client that has ended")

    monkeypatch.setattr("octelium.client.dns.owners.repair", repair)
    del terminal.environ["OCTELIUM_AUTH_TOKEN"]
    assert "still names a client" in terminal("octelium", "connect").err
    assert "still names a client" in terminal("octelium", "disconnect").err
