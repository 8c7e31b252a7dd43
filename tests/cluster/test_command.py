from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

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
    announce("supervisor", {"up": True})


def test_without_a_token_nothing_is_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    announce = Announcer(load({"domain": "a.example"}, {}, None))
    announce("control", {"error": "the disk is full"})
    announce("supervisor", {"up": True})
    told = capsys.readouterr()
    assert told.out == ""
    assert "the disk is full" in told.err


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
