"""The official Python SDK, from PyPI, in an environment of its own."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.peers.node import CACHE

REQUIREMENTS = "octelium-sdk==1.2.0 octelium-apis==1.0.3"


@cache
def python() -> Path:
    """An interpreter that has it; made once and kept."""
    key = hashlib.sha256(f"{REQUIREMENTS} {sys.version}".encode()).hexdigest()[:12]
    home = CACHE / f"sdk-{key}"
    interpreter = home / "bin/python"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"sdk-{key}.lock").open("w") as guard:  # test processes run side by side
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            uv = str(Path(sys.executable).parent / "uv")
            made = [uv, "venv", "-q", "--clear", "-p", sys.executable, str(home)]
            subprocess.run(made, check=True)
            filled = [uv, "pip", "install", "-q", "-p", str(interpreter), *REQUIREMENTS.split()]
            subprocess.run(filled, check=True)
            (home / "complete").touch()
    return interpreter
