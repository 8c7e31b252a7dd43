"""bootstrap.sh itself: cut anywhere it does nothing; mistakes in options are named."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.install.releases import ROOT
from tests.install.test_scripts import SHELLS, function, run
from tests.peers.programs import program

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = "k3s/bootstrap.sh"
SHARED = (
    "must_match", "setting", "existing", "mount_options",
    "look_at_folder", "look_at_clock", "look_at_names", "default_domain", "fetch",
    "refuse", "in_order", "refuse_older", "check_server_clock", "check_signature",
    "fetch_signature", "check_sum",
    "point_to", "problem",
)  # fmt: skip
"""What bootstrap.sh does as install.sh does it."""


def test_shellcheck() -> None:
    words = [program("shellcheck", "shellcheck"), "-s", "sh", SCRIPT]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == ""


@pytest.mark.parametrize("name", SHARED)
def test_functions_of_both_are_the_same(name: str) -> None:
    own = function(SCRIPT, name).replace("$PROC/", "/proc/")
    assert own == function("install.sh", name)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_cut_download_does_nothing(tmp_path: Path, shell: str) -> None:
    """Whatever a cut script calls is written down, and it is nothing."""
    text = (ROOT / SCRIPT).read_bytes()
    assert text.endswith(b'\n{ main "$@"; }\n')
    called, programs = tmp_path / "called", tmp_path / "bin"
    programs.mkdir()
    for name in ("id", "tr", "grep", "mktemp", "systemctl", "cat", "sed", "rm", "mkdir", "k3s"):
        (programs / name).write_text(f"#!/bin/sh\necho {name} >>{called}\n")
        (programs / name).chmod(0o755)
    cut = tmp_path / "cut.sh"
    lengths = {*range(0, len(text), 1499), *range(len(text) - 40, len(text) - 1, 3)}
    for length in sorted(lengths):
        cut.write_bytes(text[:length])
        done = run(shell, cut, path=str(programs))
        assert done.stdout == "", length
        assert not called.exists(), (length, called.read_text())
    cut.write_bytes(text)
    run(shell, cut, path=str(programs))
    assert called.exists()


def test_help() -> None:
    done = run("dash", ROOT / SCRIPT, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: sh bootstrap.sh ")
    assert "Examples:" in done.stdout


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--domain", "octelium"),
        ("--domain", "a.example\nb.example"),
        ("--domain", "$(id).example"),
        ("--addresses", "here"),
        ("--addresses", "203.0.113.1,"),
        ("--public-port", "https"),
        ("--public-address", "here"),
        ("--admin", "An Admin"),
        ("--tunnel", "auto"),
        ("--timeout", "soon"),
        ("--skip-check", "everything"),
        ("--release", "../1"),
    ],
)
def test_a_mistake_is_named(option: str, value: str) -> None:
    done = run("dash", ROOT / SCRIPT, option, value)
    assert (done.returncode, done.stdout) == (2, "")
    assert option in done.stderr
    assert "--help" in done.stderr
    variable = f"OCTELIUM_{option[2:].upper().replace('-', '_')}"
    assert run("dash", ROOT / SCRIPT, **{variable: value}).returncode == 2


@pytest.mark.parametrize("options", [("--domian", "a.example"), ("domain",), ("--domain",)])
def test_an_option_that_is_none(options: tuple[str, ...]) -> None:
    done = run("dash", ROOT / SCRIPT, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert options[0] in done.stderr
