from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import octelium
from octelium.client.errors import StateError
from octelium.client.tunnel import detach
from octelium.client.tunnel.control import Place, ask
from octelium.client.tunnel.errors import TunnelError
from tests.client.owners import Owned
from tests.e2e.cluster import wait_for

SECRET = "a-token-that-nobody-may-see"
# Answers as a connection in the background does, after some time, or not.
_FAKE = """
import asyncio, os, pathlib, sys
from octelium.client.tunnel.control import Place, serving
place = Place(pathlib.Path(sys.argv[1]), "lab.test")
async def main():
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.call_later(300, stopped.set)
    told = {"pid": os.getpid(), "answered": ""}
    if sys.argv[2] == "works":
        loop.call_later(0.1, told.update, {"answered": "Service wiki.default"})
    if sys.argv[2] == "trouble":
        told["trouble"] = "the workers are down"
    async def status():
        return told
    print("it says so", file=sys.stderr, flush=True)
    with place.hold():
        async with serving(place, status, stopped.set):
            await stopped.wait()
if sys.argv[2] == "fails":
    sys.exit("Error: no such thing")
asyncio.run(main())
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "home", "lab.test")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    def command(arguments: list[str]) -> list[str]:
        return [sys.executable, "-c", _FAKE, str(place.directory), *arguments]

    monkeypatch.setattr(detach, "command", command)
    monkeypatch.setattr(detach, "systemd_command", lambda *_: None)
    monkeypatch.setattr(detach, "check_code", lambda _: None)


@pytest.mark.usefixtures("fake")
def test_it_returns_once_a_request_was_answered(place: Place) -> None:
    answered = detach.start(place, ["works"], dict(os.environ), ready=300)
    assert answered == "Service wiki.default"
    with pytest.raises(TunnelError, match="connected already, by process"):
        detach.start(place, ["works"], dict(os.environ))
    assert place.log.stat().st_mode & 0o777 == 0o600
    assert ask(place, "end")
    detach._STARTED.pop().wait(60)


@pytest.mark.usefixtures("fake")
def test_what_went_wrong_is_told(place: Place) -> None:
    with pytest.raises(TunnelError, match="ended:\n  Error: no such thing"):
        detach.start(place, ["fails"], dict(os.environ), ready=300)


@pytest.mark.usefixtures("fake")
def test_trouble_ends_it_early(place: Place) -> None:
    with pytest.raises(TunnelError, match="nothing answered through the tunnel"):
        detach.start(place, ["trouble"], dict(os.environ), ready=300)


@pytest.mark.usefixtures("fake")
def test_without_an_answer_nothing_stays(place: Place) -> None:
    def once_it_has_begun(_seconds: float) -> None:
        wait_for(lambda: "it says so" in place.log.read_text())
        time.sleep(1)

    with pytest.raises(TunnelError, match="within 1 s:\n  it says so"):
        detach.start(place, ["silent"], dict(os.environ), ready=1, sleep=once_it_has_begun)
    deadline = time.monotonic() + 60
    while ask(place, "status") is not None:
        assert time.monotonic() < deadline


def test_a_log_that_is_a_link_is_left_alone(place: Place, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    place.directory.mkdir()
    place.log.symlink_to(victim)
    with pytest.raises(TunnelError, match=r"\.log cannot be written: it is a link"):
        detach._log(place)
    assert victim.read_text() == "precious"


@pytest.mark.usefixtures("fake")
def test_root_begins_nothing_in_somebody_elses_directory(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    place.directory.mkdir()
    place.log.symlink_to(victim)
    Owned(monkeypatch).by(place.directory, 1234)
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("it began"))
    with pytest.raises(StateError, match=f"{place.directory} belongs to") as caught:
        detach.start(place, ["works"], dict(os.environ))
    assert "sudo -H" in caught.value.remedy
    assert victim.read_text() == "precious"


def test_the_program_itself_is_run_again() -> None:
    words = detach.command(["connect", "--domain", "lab.test"])
    assert words[0] == sys.executable
    assert words[-5:] == ["-m", "octelium", "connect", "--domain", "lab.test"]


def test_a_unit_has_no_secret(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = tmp_path / "systemd-run"
    runner.write_text("#!/bin/sh\n")
    runner.chmod(0o755)
    environ = {
        "PATH": str(tmp_path),
        "OCTELIUM_AUTH_TOKEN": SECRET,
        "OCTELIUM_AUTH_ASSERTION": SECRET,
        "OCTELIUM_MTU": "1400",
        "OCTELIUM_API_ENDPOINT": "192.0.2.1:443",
        "HTTPS_PROXY": f"http://me:{SECRET}@proxy:3128",
        "NO_PROXY": "192.0.2.0/24",
    }
    monkeypatch.setattr(detach, "_RUNS_SYSTEMD", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    words = detach.systemd_command(place, ["connect"], environ)
    assert words is not None
    assert words[0] == str(runner)
    assert "--setenv=OCTELIUM_MTU=1400" in words
    assert "--setenv=OCTELIUM_API_ENDPOINT=192.0.2.1:443" in words
    assert "--setenv=NO_PROXY=192.0.2.0/24" in words
    assert "--property=Restart=on-failure" in words
    assert words[-3:] == ["-m", "octelium", "connect"]
    assert SECRET not in " ".join(words)
    # This one it could not do without; a process of ours gets it where nobody else reads it.
    fixed = {**environ, "OCTELIUM_ACCESS_TOKEN": SECRET}
    assert detach.systemd_command(place, ["connect"], fixed) is None
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert detach.systemd_command(place, ["connect"], environ) is None
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert detach.systemd_command(place, ["connect"], {"PATH": "/nowhere"}) is None
    monkeypatch.setattr(detach, "_RUNS_SYSTEMD", tmp_path / "none")
    assert detach.systemd_command(place, ["connect"], environ) is None


def test_a_unit_that_does_not_work_is_stopped(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or systemd would start it for ever."""
    stopper = tmp_path / "systemctl"
    stopper.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/said\n')
    stopper.chmod(0o755)
    monkeypatch.setattr(detach, "systemd_command", lambda *_: [sys.executable, "-c", ""])
    monkeypatch.setattr(detach, "check_code", lambda _: None)
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with pytest.raises(TunnelError, match="nothing answered"):
        detach.start(place, [], environ, ready=0.5)
    assert (tmp_path / "said").read_text() == f"stop octelium-{place.socket.stem}.service\n"


@pytest.mark.parametrize("told", ["Result=exit-code\nNRestarts=0", "Result=success\nNRestarts=1"])
def test_a_unit_that_fails_at_once_is_not_waited_for(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    program = tmp_path / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/said\necho "{told}"\n')
    program.chmod(0o755)
    monkeypatch.setattr(detach, "systemd_command", lambda *_: [sys.executable, "-c", "print('oh')"])
    monkeypatch.setattr(detach, "check_code", lambda _: None)
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with pytest.raises(TunnelError, match="the connection in the background ended"):
        detach.start(place, [], environ, ready=300)
    assert (tmp_path / "said").read_text() == "show\nstop\n"


def test_root_runs_no_code_that_others_can_change(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(TunnelError, match="does not belong to root alone"):
        detach.check_code(tmp_path)
    if os.geteuid() == 0:
        detach.check_code(Path("/usr/bin"))
        other = tmp_path / "code"
        other.mkdir()
        tmp_path.chmod(0o700)
        os.chown(other, 65534, 65534)
        with pytest.raises(TunnelError, match=str(other)):
            detach.check_code(other)
        (other / "__init__.py").touch()
        os.chown(other, 0, 0)
        os.chown(other / "__init__.py", 65534, 65534)
        with pytest.raises(TunnelError, match="__init__"):
            detach.check_code(other / "__init__.py")


@pytest.mark.parametrize("by_systemd", [True, False])
def test_nothing_begins_from_such_a_place(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_systemd: bool
) -> None:
    code = tmp_path / "site-packages/octelium/__init__.py"
    code.parent.mkdir(parents=True)
    code.touch()
    tmp_path.chmod(0o777)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(octelium, "__file__", str(code))
    if by_systemd:
        monkeypatch.setattr(detach, "_RUNS_SYSTEMD", tmp_path)
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("it began"))
    with pytest.raises(TunnelError, match="does not belong to root alone"):
        detach.start(place, ["connect"], dict(os.environ))
    assert not place.log.exists()
