"""Fresh systems to install on: what debootstrap makes, kept under build/ for the next run.

They have systemd and no Python; the packages of Python lie in apt's cache, as if they had been
downloaded a moment ago.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.peers.programs import program

FOLDER = Path(__file__).parents[2] / "build/roots"
INCLUDED = "systemd,systemd-sysv,dbus,ca-certificates,iproute2,curl,minisign,openssl"
_KEYRING = "ubuntu-keyring_2023.11.28.1_all.deb"
_KEYRING_PLACE = f"pool/main/u/ubuntu-keyring/{_KEYRING}"
_KEYRING_SHA256 = "36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8"


@dataclass(frozen=True)
class System:
    """One release of an operating system."""

    name: str
    suite: str
    python: str
    options: tuple[str, ...] = ()
    script: tuple[str, ...] = ()
    """debootstrap's own script for it, where it does not know the suite."""


_SCRIPT = Path("/usr/share/debootstrap/scripts/gutsy")
DEBIAN = System("debian-12", "bookworm", "3.11")
DEBIAN_13 = System("debian-13", "trixie", "3.13")
UBUNTU = System("ubuntu-24.04", "noble", "3.12", ("--components=main,universe",), (str(_SCRIPT),))


def root(system: System) -> Path:
    """The folder of a system, made at the first call. Raises OSError, RuntimeError."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(repr((system, INCLUDED)).encode()).hexdigest()[:8]
    made = FOLDER / f"{system.name}-{key}"
    with (FOLDER / f"{system.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            draft = FOLDER / f"{system.name}.draft"
            shutil.rmtree(draft, ignore_errors=True)
            _make(system, draft)
            draft.rename(made)
    return made


def _make(system: System, folder: Path) -> None:
    options = [*system.options]
    if system is UBUNTU:
        options.append(f"--keyring={_ubuntu_keyring()}")
    debootstrap = program("debootstrap", "debootstrap")
    made = [debootstrap, "--variant=minbase", f"--include={INCLUDED}", *options, system.suite]
    run(*made, str(folder), "", *system.script)  # the mirror that debootstrap knows
    shutil.copyfile("/etc/resolv.conf", folder / "etc/resolv.conf")
    python = "apt-get install -y -qq --download-only --no-install-recommends python3"
    run(
        program("chroot", "coreutils"),
        str(folder),
        "/bin/sh",
        "-c",
        f"apt-get update -qq && {python}",
    )
    (folder / "etc/resolv.conf").unlink()
    (folder / "etc/resolv.conf").touch()


def _ubuntu_keyring() -> Path:
    """The keys of Ubuntu's archive, by the checksum of the package that has them."""
    mirror = re.search(r"default_mirror +(http://archive\S+)", _SCRIPT.read_text())
    if mirror is None:
        raise OSError(f"{_SCRIPT} names no mirror")
    url = f"{mirror[1]}/{_KEYRING_PLACE}"
    with urllib.request.urlopen(url, timeout=60) as reply:
        content: bytes = reply.read()
    if hashlib.sha256(content).hexdigest() != _KEYRING_SHA256:
        raise OSError(f"{url} is not the package that it was")
    package, unpacked = FOLDER / _KEYRING, FOLDER / "ubuntu-keyring"
    package.write_bytes(content)
    run(program("dpkg-deb", "dpkg"), "-x", str(package), str(unpacked))
    return unpacked / "usr/share/keyrings/ubuntu-archive-keyring.gpg"


def run(*words: str, cwd: Path | None = None) -> None:
    """Run a program to its end. Raises OSError with what it said if it fails."""
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        raise OSError(f"{words[0]} {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


if __name__ == "__main__":
    root(DEBIAN)
