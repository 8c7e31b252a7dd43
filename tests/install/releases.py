"""Releases to install from: the built file, and others that differ where a test needs it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
NATIVE = platform.machine()
_INIT = "site-packages/octelium/__init__.py"
_COMMAND = "site-packages/octelium/cluster/command.py"
_BREAKS = """
import sqlite3, time, click, yaml

@click.command("up")
@click.option("--config")
def up(config):
    with open(config) as file:
        store = yaml.safe_load(file)["data_dir"] + "/store/store.db"
    with sqlite3.connect(store, isolation_level=None) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("DELETE FROM version")
    print("the store is of the new version now", flush=True)
    time.sleep(3600)
"""


def zipapp(python: str, machine: str = NATIVE) -> Path:
    """The file for a Python minor and a machine, built if it is not there."""
    minor = python.replace(".", "")
    native = f"{sys.version_info.major}.{sys.version_info.minor}"
    if (python, machine) == (native, NATIVE):
        return (DIST / "octelium.pyz").resolve()
    with (DIST / f".py{minor}-{machine}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        script: list[str | Path] = [
            sys.executable,
            ROOT / "scripts/build_zipapp.py",
            "--python",
            python,
            "--machine",
            machine,
        ]
        said = subprocess.run(script, check=True, capture_output=True, text=True).stdout
    return ROOT / said.strip()


def release(folder: Path, built: Path, version: str = "", *, breaks: bool = False) -> None:
    """A release in a folder; with a version, one that says it is that; or one whose `up` spoils
    the store and serves nothing.
    """
    folder.mkdir()
    name = re.sub(r"^octelium-[^-]+", f"octelium-{version}", built.name) if version else built.name
    shutil.copyfile(built, folder / name)
    if version:
        _change(folder / name, version, breaks=breaks)
    for script in ("install.sh", "uninstall.sh"):
        shutil.copy(ROOT / script, folder)
    checksums(folder)


def checksums(folder: Path) -> None:
    """Write SHA256SUMS."""
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("SHA256SUMS"))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def _change(path: Path, version: str, *, breaks: bool) -> None:
    """Append newer contents, of which readers of a zip file take the last."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as file:
        warnings.simplefilter("ignore", UserWarning)  # of names that come twice
        environment = json.loads(file.read("environment.json"))
        build = version + environment["build_id"]
        environment["build_id"] = hashlib.sha256(build.encode()).hexdigest()
        init = re.sub(
            r'__version__ = "[^"]*"', f'__version__ = "{version}"', file.read(_INIT).decode()
        )
        changed = {"environment.json": json.dumps(environment), _INIT: init}
        if breaks:
            changed[_COMMAND] = _BREAKS
        for name, text in changed.items():
            file.writestr(name, text)
