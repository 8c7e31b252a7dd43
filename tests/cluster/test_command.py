from __future__ import annotations

import io
import os
import pwd
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from octelium.client import admin
from octelium.client.admin import AdminError, NewInvitation
from octelium.cluster import command
from octelium.cluster.command import Announcer, up
from octelium.cluster.settings import load
from octelium.cluster.sockets import ListenError
from octelium.cluster.supervisor import Supervisor

if TYPE_CHECKING:
    from pathlib import Path


def test_the_sign_in_line_is_the_only_thing_on_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = {"domain": "a.example", "listen": (":8443",), "data_dir": str(tmp_path)}
    announce = Announcer(load(flags, {}, None))
    announce("control", {"ready": True, "token": "TOKEN"})
    announce("supervisor", {"up": True})
    told = capsys.readouterr()
    assert told.out == (
        f"octelium login --domain a.example --endpoint 127.0.0.1:8443 --ca-file {tmp_path}/ca.pem"
        " --auth-token TOKEN\n"
    )
    assert "https://a.example:8443" in told.err
    me = pwd.getpwuid(os.geteuid()).pw_name
    assert f"Sign in on the command line, on this machine as {me} (shown once):\n" in told.err
    assert (
        "  Elsewhere, or as another user: save https://a.example:8443/ca.pem, and give it by"
        " --ca-file, with --endpoint octelium-api.a.example:8443.\n"
    ) in told.err


def test_at_the_usual_port_the_line_needs_no_endpoint(capsys: pytest.CaptureFixture[str]) -> None:
    say_up(Announcer(load({"domain": "a.example", "admin": ""}, {}, None)))
    told = capsys.readouterr().err
    assert "save https://a.example/ca.pem, and give it by --ca-file, with no --endpoint.\n" in told


def test_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 2**31 - 7)
    assert command._own_name() == f"user {2**31 - 7}"


@pytest.mark.parametrize(
    ("admin", "way_in"),
    [(None, "octops invite admin --administrator"), ("ann", "octops invite ann"), ("", "token")],
)
def test_a_start_that_shows_no_way_in_names_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], admin: str | None, way_in: str
) -> None:
    """The first start may have been interrupted before it showed one."""
    announce = first_start(tmp_path, interactive=True, admin=admin)
    announce("control", {"ready": True})
    announce("supervisor", {"up": True})
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = [line for line in told.err.splitlines() if line.startswith("  way in ")]
    assert way_in in line
    assert line.endswith(f"--data-dir {tmp_path}")


def first_start(tmp_path: Path, *, interactive: bool, admin: str | None = None) -> Announcer:
    flags = {"domain": "a.example", "data_dir": str(tmp_path), "admin": admin}
    return Announcer(load(flags, {}, None), interactive=interactive)


def say_up(announce: Announcer) -> None:
    announce("control", {"ready": True, "token": "TOKEN"})
    announce("supervisor", {"up": True})


def test_a_person_at_the_terminal_is_invited_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, bool]] = []

    def invite(data_dir: str, user: str, *, administrator: bool) -> NewInvitation:
        asked.append((data_dir, user, administrator))
        return NewInvitation("https://a.example/invite#SECRET", 900, user)

    monkeypatch.setattr(admin, "new_invitation", invite)
    announce = first_start(tmp_path, interactive=True)
    say_up(announce)
    told = capsys.readouterr()
    assert "https://a.example/invite#SECRET\n" in told.err
    assert "SECRET" not in told.out
    assert asked == [(str(tmp_path), "admin", True)]
    announce("control", {"ready": True})  # it was started again
    announce("supervisor", {"up": True})
    assert "SECRET" not in capsys.readouterr().err
    assert len(asked) == 1


def test_without_a_terminal_the_command_is_told_and_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "new_invitation", lambda *_words, **_more: pytest.fail("invited"))
    say_up(first_start(tmp_path, interactive=False, admin="ann"))
    told = capsys.readouterr().err
    assert f"octops invite ann --administrator --data-dir {tmp_path}" in told
    assert "/invite#" not in told


def test_nobody_is_invited_if_nobody_is_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "new_invitation", lambda *_words, **_more: pytest.fail("invited"))
    for interactive in (True, False):
        say_up(first_start(tmp_path, interactive=interactive, admin=""))
        assert "octops invite" not in capsys.readouterr().err


def test_an_invitation_that_fails_does_not_end_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_words: object, **_more: object) -> None:
        raise AdminError("the Cluster did not answer")

    monkeypatch.setattr(admin, "new_invitation", refuse)
    say_up(first_start(tmp_path, interactive=True))
    told = capsys.readouterr()
    assert "the Cluster did not answer; try: octops invite admin" in told.err
    assert "--auth-token TOKEN" in told.out


@pytest.mark.parametrize("missing", [None, "stdin", "stderr"])
def test_a_terminal_is_one_at_both_ends(
    monkeypatch: pytest.MonkeyPatch, missing: str | None
) -> None:
    """What is written elsewhere may be kept, and read by others."""

    class Stream(io.StringIO):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def isatty(self) -> bool:
            return bool(self.name != missing)

    for name in ("stdin", "stderr"):
        monkeypatch.setattr(sys, name, Stream(name))
    assert command._is_interactive() == (missing is None)
    monkeypatch.setattr(sys, "stdin", None)
    assert not command._is_interactive()


def test_whether_there_are_tunnels_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    announce = Announcer(load({"domain": "a.example"}, {}, None))
    announce("supervisor", {"no_tunnel": "there is no TUN device"})
    announce("supervisor", {"tunnel": "WireGuard at UDP :53820"})
    announce("supervisor", {"up": True})
    told = capsys.readouterr().err
    assert "No tunnels: there is no TUN device\n" in told
    assert "  tunnel          WireGuard at UDP :53820\n" in told


def test_a_token_that_was_saved_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    settings = load({"domain": "a.example", "admin": ""}, {}, None)
    announce = Announcer(settings, saved="/root/first token")
    announce("control", {"token": "s3cret"})
    announce("up", {"up": True})
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "s3cret" not in shown.err
    assert """--auth-token "$(cat '/root/first token')\"""" in shown.err


def test_without_a_token_nothing_is_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    announce = Announcer(load({"domain": "a.example"}, {}, None))
    announce("supervisor", {"up": True})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "--domain"),
        (["--domain", "x"], "not a DNS name"),
        (["--domain", "a.example", "--listen", "x"], "ADDR:PORT"),
        (["--domain", "a.example", "--workers", "0"], "--workers"),
    ],
)
def test_bad_settings_are_usage_errors(words: list[str], problem: str) -> None:
    done = CliRunner().invoke(up, words, env={"OCTELIUM_DOMAIN": None})
    assert done.exit_code == 2
    assert problem in done.stderr


def test_what_is_taken_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_self: Any) -> None:
        raise ListenError("--listen :443: another process listens there")

    monkeypatch.setattr(Supervisor, "run", run)
    done = CliRunner().invoke(up, ["--domain", "a.example"])
    assert done.exit_code == 1
    assert done.stderr == "octelium up: --listen :443: another process listens there\n"


def test_help_has_an_example() -> None:
    done = CliRunner().invoke(up, ["--help"])
    assert "octelium up --domain octelium.localhost" in done.output
