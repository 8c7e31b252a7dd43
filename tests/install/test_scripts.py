"""The scripts themselves: cut anywhere they do nothing; mistakes in options are named."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.peers.programs import program

ROOT = Path(__file__).parents[2]
SCRIPTS = ("install.sh", "uninstall.sh")
SHELLS = {
    "dash": lambda: [program("dash", "dash")],
    "busybox": lambda: [program("busybox", "busybox"), "sh"],
}


def run(
    shell: str, script: Path, *options: str, path: str = os.defpath, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SHELLS[shell](), str(script), *options],
        env={"PATH": path, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_shellcheck() -> None:
    words = [program("shellcheck", "shellcheck"), "-s", "sh", *SCRIPTS]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == ""


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_cut_download_does_nothing(tmp_path: Path, shell: str, script: str) -> None:
    """Whatever a cut script calls is written down, and it is nothing."""
    text = (ROOT / script).read_bytes()
    assert text.endswith(b'\n{ main "$@"; }\n')
    called, programs = tmp_path / "called", tmp_path / "bin"
    programs.mkdir()
    for name in ("id", "tr", "grep", "mktemp", "systemctl", "cat", "sed", "rm", "mkdir", "date"):
        (programs / name).write_text(f"#!/bin/sh\necho {name} >>{called}\n")
        (programs / name).chmod(0o755)
    cut = tmp_path / "cut.sh"
    lengths = {*range(0, len(text), 499), *range(len(text) - 40, len(text) - 1)}
    for length in sorted(lengths):
        cut.write_bytes(text[:length])
        done = run(shell, cut, path=str(programs))
        assert done.stdout == "", length
        assert not called.exists(), (length, called.read_text())
    cut.write_bytes(text)
    run(shell, cut, path=str(programs))
    assert called.exists()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_help(shell: str, script: str) -> None:
    done = run(shell, ROOT / script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: sh ")
    assert "Examples:" in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--domain", "localhost"),
        ("--domain", "a..example"),
        ("--domain", 'a.example"\nlisten: ":1'),
        ("--domain", "$(id).example"),
        ("--listen", "443"),
        ("--listen", "host:443"),
        ("--admin", "An Admin"),
        ("--tunnel", "maybe"),
        ("--data-dir", "relative"),
        ("--data-dir", "/with space"),
        ("--data-dir", "/"),
        ("--timeout", "soon"),
        ("--skip-check", "everything"),
        ("--release", "../1"),
        ("--public-address", "here"),
    ],
)
def test_a_mistake_is_named(shell: str, option: str, value: str) -> None:
    done = run(shell, ROOT / "install.sh", option, value)
    assert (done.returncode, done.stdout) == (2, "")
    assert option in done.stderr
    assert "--help" in done.stderr
    variable = f"OCTELIUM_{option[2:].upper().replace('-', '_')}"
    assert run(shell, ROOT / "install.sh", **{variable: value}).returncode == 2


@pytest.mark.parametrize("options", [("--domian", "a.example"), ("domain",), ("--domain",)])
def test_an_option_that_is_none(options: tuple[str, ...]) -> None:
    done = run("dash", ROOT / "install.sh", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert options[0] in done.stderr
    assert run("dash", ROOT / "uninstall.sh", *options).returncode == 2
