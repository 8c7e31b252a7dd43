"""Programs of another machine, run on this one: a Debian 12 for arm64 behind QEMU's user mode.

Its packages are unpacked, not set up, so that nothing of theirs has to run. That its programs are
QEMU's is said to the kernel in a user namespace of the test's own, by a binfmt_misc that no other
process sees (https://docs.kernel.org/admin-guide/binfmt-misc.html; Linux 6.7 or newer).
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.install.roots import FOLDER, run
from tests.peers.programs import program

if TYPE_CHECKING:
    from pathlib import Path

_NAME = "debian-12-arm64"
# The head of an ELF file of 64 bits, little endian, for the machine 183 (elf(5)), and which bits of
# it count; the type may be executable or shared.
_MAGIC = r"\x7fELF\x02\x01\x01\x00" + r"\x00" * 8 + r"\x02\x00\xb7\x00"
_MASK = r"\xff" * 7 + r"\x00" + r"\xff" * 8 + r"\xfe\xff\xff\xff"
_ENTER = """set -eu
root=$1 qemu=$2
shift 2
ip link set lo up
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
printf '%s' ":arm64:M::MAGIC:MASK:$qemu:OCF" >/proc/sys/fs/binfmt_misc/register
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
for folder in tmp run; do mount -t tmpfs tmpfs "$root/$folder"; done
cp "$1" "$root/run/octelium.pyz"
shift
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run SHIV_ROOT=/run/shiv chroot "$root" "$@"
""".replace("MAGIC", _MAGIC).replace("MASK", _MASK)


def run_on_arm64(zipapp: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script of sh as root of a system that has the file as `/run/octelium.pyz`, a loopback
    interface and nothing else.

    Raises:
        OSError, RuntimeError: such a system cannot be made.
    """
    enter = [program("unshare", "util-linux"), "--user", "--map-root-user", "--mount", "--net"]
    enter += ["--pid", "--fork", "--mount-proc"]
    words = [*enter, "sh", "-c", _ENTER, "sh", str(_root()), str(_qemu()), str(zipapp)]
    return subprocess.run(
        [*words, "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
        check=False,
    )


def _qemu() -> Path:
    """QEMU from its package, beside the roots and not installed."""
    folder = FOLDER / "qemu"
    with (FOLDER / "qemu.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draft = FOLDER / "qemu.draft"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            run(program("apt-get", "apt"), "download", "-qq", "qemu-user-static", cwd=draft)
            (package,) = draft.glob("*.deb")
            run(program("dpkg-deb", "dpkg"), "-x", str(package), str(draft))
            draft.rename(folder)
    return folder / "usr/bin/qemu-aarch64-static"


def _root() -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    made, draft = FOLDER / _NAME, FOLDER / f"{_NAME}.draft"
    with (FOLDER / f"{_NAME}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(draft, ignore_errors=True)
            options = ("--arch=arm64", "--foreign", "--variant=minbase", "--include=python3")
            run(program("debootstrap", "debootstrap"), *options, "bookworm", str(draft))
            for package in sorted((draft / "var/cache/apt/archives").glob("*.deb")):
                run(program("dpkg-deb", "dpkg"), "-x", str(package), str(draft))
            draft.rename(made)
    return made
