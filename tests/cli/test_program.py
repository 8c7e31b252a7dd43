from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from octelium import __version__
from octelium.cli import exits, menu
from octelium.cli.invocation import Invocation
from octelium.cli.program import program
from octelium.cli.terminal import OutputError, Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.runner import Runner
    from tests.client.standin import StandIn


@pytest.mark.parametrize("name", menu.PROGRAMS)
def test_help_is_the_same_by_click_and_by_the_table(name: str, offline: Runner) -> None:
    loaded = program(name)
    context = click.Context(loaded, info_name=name)
    assert loaded.get_help(context) == menu.help_text(menu.PROGRAMS[name])
    result = offline(name, "--help", "x")
    assert (result.code, result.out) == (0, f"{loaded.get_help(context)}\n")


@pytest.mark.parametrize("name", menu.PROGRAMS)
def test_every_command_has_help_with_an_example(name: str, offline: Runner) -> None:
    for word, entry in menu.PROGRAMS[name].commands.items():
        if entry.target.startswith("octelium.cluster"):
            continue
        result = offline(name, word, "-h")
        assert result.code == 0
        assert "Example" in result.out
        assert result.out.rstrip().splitlines()[-1].startswith("  ")


def test_a_mistyped_command(offline: Runner) -> None:
    result = offline.ctl("aply")
    assert result.code == exits.USAGE
    assert "Did you mean 'apply'?" in result.err
    assert result.out == ""
    assert "Did you mean" not in offline.ctl("zzz").err


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("octelium", "apply"), "octeliumctl apply"),
        (("octeliumctl", "connect"), "octelium connect"),
        (("octelium", "use"), "octelium context use"),
        (("octeliumctl", "explain"), "octeliumctl policy explain"),
        (("octelium", "contexts"), "context"),
    ],
)
def test_a_command_that_is_elsewhere(words: tuple[str, ...], meant: str, offline: Runner) -> None:
    result = offline(*words)
    assert result.code == exits.USAGE
    assert f"Did you mean '{meant}'?" in result.err


def test_options_of_a_command_before_it(offline: Runner) -> None:
    result = offline.ctl("-o", "json", "get", "users")
    assert result.code == exits.USAGE
    assert "options of a command stand after it" in result.err
    assert "stand after it" not in offline.ctl("get", "users", "--nothing").err


def test_a_mistyped_domain(cluster: StandIn, terminal: Runner, tmp_path: Path) -> None:
    terminal.environ["OCTELIUM_HOME"] = str(tmp_path / "home")
    assert terminal("octelium", "login").code == 0
    del terminal.environ["OCTELIUM_AUTH_TOKEN"]
    result = terminal.ctl("get", "users", "--domain", "lap.test")
    assert (result.code, result.out) == (exits.FAILED, "")
    assert "you are logged in to lab.test; did you mean lab.test?" in result.err


def test_no_command(offline: Runner) -> None:
    result = offline.ctl()
    assert (result.code, result.out) == (exits.USAGE, "")
    assert result.err == f"{menu.help_text(menu.PROGRAMS['octeliumctl'])}\n"


@pytest.mark.parametrize("name", menu.PROGRAMS)
def test_the_version_of_every_program(name: str, offline: Runner) -> None:
    result = offline(name, "--version")
    assert (result.code, result.out, result.err) == (0, f"{name} {__version__}\n", "")


def test_help_as_a_word(offline: Runner) -> None:
    assert offline("octelium", "help").out == f"{menu.help_text(menu.PROGRAMS['octelium'])}\n"
    assert offline.ctl("help", "get").out == offline.ctl("get", "--help").out


def test_logging_out_is_never_suggested(offline: Runner) -> None:
    for word in ("--log", "--logou"):
        result = offline.ctl("get", word, "users")
        assert result.code == exits.USAGE
        assert "No such option" in result.err
        assert "--logout" not in result.err
    assert "--domain" in offline.ctl("get", "--domai", "x", "users").err


def test_examples_name_the_program_that_runs(offline: Runner) -> None:
    assert "source <(octelium completion bash)" in offline("octelium", "completion", "-h").out
    assert "octeliumctl login --domain" in offline.ctl("login", "-h").out


def test_output_that_nobody_takes(terminal: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_terminal: Terminal, _text: str) -> None:
        raise OutputError("cannot write the output: No space left on device")

    monkeypatch.setattr(Terminal, "show", full)
    for arguments in (["version"], ["get", "--help"], ["--help", "x"], ["--version"]):
        result = terminal.ctl(*arguments)
        assert (result.code, result.out) == (exits.FAILED, "")
        assert result.err == "Error: cannot write the output: No space left on device\n"


def test_aliases(terminal: Runner) -> None:
    assert terminal.ctl("list", "users").code == exits.OK
    assert terminal.ctl("rm", "user", "none").code == exits.FAILED


def test_options_before_and_after_the_command(cluster: StandIn, terminal: Runner) -> None:
    del terminal.environ["OCTELIUM_API_ENDPOINT"]
    for arguments in (
        ("--endpoint", cluster.endpoint, "get", "users"),
        ("get", "users", "--endpoint", cluster.endpoint),
        ("--endpoint", "127.0.0.1:1", "get", "--endpoint", cluster.endpoint, "users"),
    ):
        assert terminal.ctl(*arguments).code == exits.OK
    assert cluster.methods().count("ListUser") == 3


def test_a_failure_has_one_line_on_stderr_and_a_remedy(offline: Runner) -> None:
    result = offline.ctl("get", "users")
    assert result.code == exits.FAILED
    assert result.out == ""
    assert result.err == (
        "Error: the Cluster's domain is not set\n  give --domain DOMAIN or set OCTELIUM_DOMAIN; "
        "octelium login --domain DOMAIN remembers it\n"
    )


def test_a_token_of_the_environment_that_is_not_good(cluster: StandIn, terminal: Runner) -> None:
    terminal.environ["OCTELIUM_ACCESS_TOKEN"] = "old"
    result = terminal.ctl("get", "users")
    assert result.code == exits.FAILED
    assert "OCTELIUM_ACCESS_TOKEN is set" in result.err
    assert "OCTELIUM_ACCESS_TOKEN" not in terminal.ctl("get", "users", "x", "--page", "y").err


def test_ctrl_c(offline: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_invocation: Invocation) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Invocation, "client", property(interrupted))
    result = offline.ctl("get", "users")
    assert (result.code, result.err.strip()) == (exits.INTERRUPTED, "Interrupted.")


def test_logging_out_afterwards(cluster: StandIn, terminal: Runner) -> None:
    result = terminal.ctl("get", "users", "--logout")
    assert result.code == exits.OK
    assert "Logged out of lab.test." in result.err
    assert cluster.methods()[-1] == "Logout"
    terminal.environ["OCTELIUM_LOGOUT"] = "true"
    assert terminal.ctl("get", "user", "none").code == exits.FAILED
    assert cluster.methods()[-1] == "GetUser"
    assert terminal.ctl("version").code == exits.OK


def test_bugs_are_not_hidden(terminal: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("octelium.cli.get.parse_targets", lambda _words: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        terminal.ctl("get", "users")
