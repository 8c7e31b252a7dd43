from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.runner import Runner


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
