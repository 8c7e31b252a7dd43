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


CODE = "import sys; sys.argv[0] = 'octelium'; from octelium.__main__ import main; main()"


@pytest.fixture
def person(cluster: StandIn, terminal: Runner, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who is logged in and whose shell finds `octelium`."""
    for name, port in (("wiki", 80), ("web", 443), ("db.prod", 5432)):
        cluster.add(resource("Service", name)).status.port = port
    assert terminal("octelium", "login").code == 0
    program = tmp_path / "bin" / "octelium"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{CODE}" "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    source = str(Path(octelium.__file__).parents[1])
    more = {"PATH": path, "HOME": str(tmp_path), "PYTHONPATH": source}
    return {**os.environ, **terminal.environ, **more}


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("open w", ["web", "wiki"]),
        ("doctor db", ["db.prod"]),
        ("connect -p d", ["db.prod:5432"]),
        ("context use l", ["lab.test"]),
        ("status --domain ''", ["lab.test"]),
        ("context d", ["delete"]),
        ("open --pr", ["--print"]),
    ],
)
def test_in_a_shell(person: dict[str, str], words: str, offered: list[str]) -> None:
    script = (
        "source <(octelium completion bash) && COMP_WORDS=(octelium $1) && COMP_CWORD=$2 && "
        '_octelium_completion octelium && printf "%s\\n" "${COMPREPLY[@]}"'
    )
    # The first answer may take longer on a busy machine than a person waits: names stay away then.
    for _ in range(20):
        done = subprocess.run(
            ["bash", "-c", script, "bash", words.replace("''", ""), str(len(words.split(" ")))],
            env=person,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        if done.stdout.strip():
            break
    assert sorted(done.stdout.split()) == offered


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
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        done = subprocess.run(
            ["octelium"],
            env=person | asked | {"OCTELIUM_API_ENDPOINT": endpoint},
            capture_output=True,
            text=True,
            check=True,
        )
        # 0.3 s of waiting, and the start of a program on a machine that may be busy.
        assert time.monotonic() - began < 3
    assert (done.stdout.strip(), done.stderr) == ("", "")
