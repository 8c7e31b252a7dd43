"""npm packages for peers written in JavaScript, and the processes that run them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache"


@cache
def modules() -> Path:
    """A folder with the locked packages below `node_modules`; installed once and kept."""
    lock = (HERE / "package-lock.json").read_bytes()
    home = CACHE / f"peers-{hashlib.sha256(lock).hexdigest()[:12]}"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as guard:  # test processes run side by side
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, home / name)
            npm = program("npm", "nodejs npm")
            command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
            subprocess.run(command, cwd=home, check=True)
            (home / "complete").touch()
    return home


@contextmanager
def running(script: str, settings: dict[str, Any], within: Sequence[str] = ()) -> Iterator[None]:
    """A script of this folder as a process that was told `settings` and said that it is ready.

    `within` are words before its command, such as those that enter a network namespace.
    """
    home = modules()
    copied = home / f"{script}.{os.getpid()}"
    shutil.copy(HERE / script, copied)
    copied.replace(home / script)  # at once, as another test process may just begin to run it
    process = subprocess.Popen(
        [*within, program("node", "nodejs npm"), str(home / script)],
        cwd=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(settings).encode())
        process.stdin.close()
        for line in process.stdout:
            if line.strip() == b"ready":
                break
        else:
            raise RuntimeError(f"{script} did not start")
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
