"""What it does is in `test_wireguard_go`; here is what it refuses."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from octelium.tunnel.engines import enter

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, **change: object) -> subprocess.CompletedProcess[str]:
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket() as tun:
        given = {
            "channel": theirs.fileno(),
            "namespace": [],
            "folder": str(folder),
            "seccomp": None,
            "filter": None,
            "tun": tun.fileno(),
            "parent": os.getpid(),
            "words": ["/bin/sh", "-c", "echo $0 $X; ls -A /var/run /var/run/wireguard"],
            "environment": {"X": "there", "PATH": os.environ["PATH"]},
            **change,
        }
        return subprocess.run(
            [sys.executable, "-I", "-S", enter.__file__, json.dumps(given)],
            pass_fds=(theirs.fileno(), tun.fileno()),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


def test_a_folder_takes_the_place_of_the_machine_s(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    ended = run(tmp_path)
    assert ended.stderr == ""
    assert ended.stdout.split() == [
        "/bin/sh",
        "there",
        "/var/run:",
        "wireguard",
        "/var/run/wireguard:",
        "mine",
    ]


def test_refusals(tmp_path: Path) -> None:
    assert "the engine is gone" in run(tmp_path, parent=1).stderr
    assert "No such file" in run(tmp_path / "none").stderr
    assert "cannot enter the network namespace" in run(tmp_path, namespace=[0]).stderr
    assert "No such file" in run(tmp_path, words=["/nowhere"]).stderr
