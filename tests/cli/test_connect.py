from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
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


def test_in_the_background_a_login_must_outlive_this_process(terminal: Runner) -> None:
    result = terminal("octelium", "connect", "-d", "--homedir", "mem")
    assert result.code == 1
    assert "--detach needs the login on disk" in result.err


def test_the_background_gets_everything_but_secrets(
    terminal: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from octelium.client.tunnel import detach

    started: list[list[str]] = []

    def start(_place: object, arguments: list[str], *_: object, **__: object) -> str:
        started.append(arguments)
        return "Service wiki.default"

    monkeypatch.setattr(detach, "start", start)
    secret = terminal.environ["OCTELIUM_AUTH_TOKEN"]
    words = (
        "-d --auth-token - -p wiki:1 --serve home --serve-all --no-dns --ip-mode v4 "
        "--dns-zone corp.example --localdns --localdns-addr 127.0.0.1:5300"
    )
    result = terminal(
        "octelium", "connect", *words.split(), "--scope", "api:user", stdin=f"{secret}\n"
    )
    assert (result.code, result.out) == (0, "")
    assert "Service wiki.default answers" in result.err
    text = " ".join(started[0])
    assert secret not in text
    assert text.startswith("connect --domain lab.test --homedir /")
    assert text.endswith(
        "--publish wiki:1 --serve home --scope api:user --dns-zone corp.example --serve-all "
        "--no-dns --localdns --ip-mode v4 --localdns-addr 127.0.0.1:5300 --engine auto "
        "--implementation auto"
    )
