from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import octelium
from octelium.client.storage import storage_at
from tests.cli.runner import resource
from tests.cli.shells import Shell

if TYPE_CHECKING:
    from tests.cli.runner import Runner
    from tests.client.standin import StandIn


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell: str, offline: Runner) -> None:
    result = offline("octeliumctl", "completion", shell)
    assert result.code == 0
    assert "_OCTELIUMCTL_COMPLETE" in result.out
    assert "octeliumctl" in result.out


def test_an_unknown_shell(offline: Runner) -> None:
    assert offline("octelium", "completion", "tcsh").code == 2


def completed(words: str, **environ: str) -> list[str]:
    """What a shell would offer after `words`."""
    code = "import sys; sys.argv = ['octeliumctl']; from octelium.__main__ import main; main()"
    count = str(len(words.split(" ")) - 1)
    variables = {"_OCTELIUMCTL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": count}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_what_the_script_asks_for() -> None:
    assert completed("octeliumctl des") == ["describe"]
    assert completed("octeliumctl get serv") == ["service"]
    assert completed("octeliumctl get users -o j") == ["json"]
    assert completed("octeliumctl policy ev") == ["eval"]
    assert completed("octeliumctl policy eval -o c") == ["cel"]


CODE = "import sys; sys.argv[0] = '{}'; from octelium.__main__ import main; main()"


@pytest.fixture
def person(cluster: StandIn, terminal: Runner, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who is logged in and whose shell finds `octelium`."""
    for name, port in (("wiki", 80), ("web", 443), ("db.prod", 5432)):
        cluster.add(resource("Service", name)).status.port = port
    for name in ("ann", "bob"):
        cluster.add(resource("User", name))
    assert terminal("octelium", "login").code == 0
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("octelium", "octeliumctl"):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -c "{CODE.format(name)}" "$@"\n')
        program.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    source = str(Path(octelium.__file__).parents[1])
    more = {"PATH": path, "HOME": str(tmp_path), "PYTHONPATH": source}
    return {**os.environ, **terminal.environ, **more}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_in_a_real_shell(shell: str, person: dict[str, str], tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed, so nothing is known of it: apt-get install {shell}")
    (tmp_path / "manifests").mkdir()
    with Shell(shell, person, tmp_path) as typing:
        for line, words in (
            ("octelium conte", ["octelium context "]),
            ("octelium open --pr", ["--print"]),
            ("octelium open w", ["web", "wiki"]),
            ("octelium connect -p db", ["db.prod:5432"]),
            ("octelium context use l", ["lab.test"]),
            ("octeliumctl get serv", ["service"]),
            ("octeliumctl describe user b", ["bob"]),
            ("octeliumctl delete user/a", ["user/ann"]),
            ("octeliumctl get sessions --user ", ["ann", "bob"]),
            ("octeliumctl apply --prune man", ["manifests/"]),
        ):
            assert typing.completes(line, *words), (line, words, typing.seen)


def test_names_that_come_too_late_are_there_the_next_time(
    cluster: StandIn, person: dict[str, str], tmp_path: Path
) -> None:
    """As from a Cluster that is far away."""
    cluster.delay = 1.0
    asked = {
        "_OCTELIUM_COMPLETE": "bash_complete",
        "COMP_WORDS": "octelium open wi",
        "COMP_CWORD": "2",
    }

    def names() -> str:
        return subprocess.run(
            ["octelium"], env=person | asked, capture_output=True, text=True, check=True
        ).stdout

    assert names().strip() == ""
    end = time.monotonic() + 120
    while not (found := names().strip()) and time.monotonic() < end:
        pass
    assert found == "plain,wiki"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_nothing_that_goes_wrong_is_shown(
    person: dict[str, str], shell: str, tmp_path: Path
) -> None:
    storage_at(tmp_path / "home").write("octelium.db", b"\xff")
    asked = {
        "_OCTELIUM_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "octelium open " if shell != "fish" else "octelium open",
        "COMP_CWORD": "2" if shell != "fish" else "w",
    }
    for more in ({}, {"OCTELIUM_DOMAIN": "no domain"}, {"OCTELIUM_HOME": "/proc/none"}):
        done = subprocess.run(
            ["octelium"], env=person | asked | more, capture_output=True, text=True, check=False
        )
        assert (done.stdout.strip(), done.stderr) == ("", "")


def test_a_bug_says_nothing(person: dict[str, str]) -> None:
    asked = {"_OCTELIUM_COMPLETE": "bash_complete", "COMP_WORDS": "octelium", "COMP_CWORD": "x"}
    done = subprocess.run(
        ["octelium"], env=person | asked, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_offline_it_is_as_fast(person: dict[str, str]) -> None:
    asked = {
        "_OCTELIUM_COMPLETE": "bash_complete",
        "COMP_WORDS": "octelium open ",
        "COMP_CWORD": "2",
    }

    def seconds(**more: str) -> float:
        began = time.monotonic()
        done = subprocess.run(
            ["octelium"], env=person | asked | more, capture_output=True, text=True, check=True
        )
        assert (done.stdout.strip(), done.stderr) == ("", "")
        return time.monotonic() - began

    nowhere = {"OCTELIUM_DOMAIN": "no domain"}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        started = seconds(**nowhere)
        took = seconds(OCTELIUM_API_ENDPOINT=endpoint)
        started = max(started, seconds(**nowhere))
    # Beyond the start of a program 0.3 s; grpc gives such a handshake up after 20 s.
    assert took < started + 15
