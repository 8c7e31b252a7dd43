"""Build the one file: dist/octelium-<version>-<python>-<platform>.pyz, and the links to it.

The same sources and locks give the same bytes. The file is for one Python minor and one
architecture, which its name says and its preamble checks: those of this interpreter, or any for
which the dependencies have wheels (`--python 3.12 --machine aarch64`).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
DIST = ROOT / "dist"
EPOCH = "1700000000"
LINKS = ("octelium.pyz", "octelium", "octeliumctl", "octops")
# Carried along by dependencies and never imported at run time.
UNUSED = ("pip", "setuptools", "bin", "pip-*.dist-info", "*/tests", "*/test")
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Target:
    """What a file is for: a Python minor such as `3.12`, a machine such as `x86_64`."""

    python: str
    machine: str

    @property
    def is_native(self) -> bool:
        """Whether this interpreter can start it."""
        return self == NATIVE

    @property
    def suffix(self) -> str:
        """Sets its files in build/ apart; empty for the native one."""
        return "" if self.is_native else f"-{self.python}-{self.machine}"

    @property
    def site(self) -> Path:
        """Where its contents are laid out."""
        return BUILD / f"site-packages{self.suffix}"

    @property
    def name(self) -> str:
        """The file's name."""
        minor = self.python.replace(".", "")
        return f"octelium-{version()}-py{minor}-{sys.platform}-{self.machine}.pyz"

    @property
    def interpreter(self) -> str:
        """What the contents depend on besides sources and locks."""
        return sys.version if self.is_native else f"{self.python} {self.machine}"


NATIVE = Target(f"{sys.version_info.major}.{sys.version_info.minor}", platform.machine())


def version() -> str:
    namespace: dict[str, str] = {}
    for line in (ROOT / "octelium/__init__.py").read_text().splitlines():
        if line.startswith("__version__"):
            namespace["version"] = line.split('"')[1]
    return namespace["version"]


def sources() -> list[Path]:
    keep = {".py", ".binpb", ".html", ".css", ".js", ".svg", ".typed"}
    found = [p for top in ("octelium", "tui") for p in (ROOT / top).rglob("*") if p.suffix in keep]
    return sorted(path for path in found if "__pycache__" not in path.parts)


def digest(target: Target) -> str:
    """What the file depends on: sources, locks, this script, the interpreter."""
    state = hashlib.sha256(target.interpreter.encode())
    inputs = [*sources(), ROOT / "locks/runtime.txt", *sorted((ROOT / "scripts").glob("*.py"))]
    for path in inputs:
        state.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return state.hexdigest()


def dependencies(target: Target) -> None:
    """Install the locked dependencies into the target's folder, once per lock."""
    lock = ROOT / "locks/runtime.txt"
    stamp = BUILD / f"dependencies{target.suffix}"
    wanted = hashlib.sha256(lock.read_bytes() + target.interpreter.encode()).hexdigest()
    site = target.site
    if stamp.exists() and stamp.read_text() == wanted and site.exists():
        return
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True)
    command: list[str | Path] = [BIN / "uv", "pip", "install", "-q", "--target", site]
    if target.is_native:
        command += ["-p", sys.executable]
    else:
        # glibc 2.28 is older than that of every system that install.sh knows.
        command += ["--python-version", target.python, "--only-binary", ":all:"]
        command += ["--python-platform", f"{target.machine}-manylinux_2_28"]
    subprocess.run([*command, "--require-hashes", "-r", lock], check=True)
    for pattern in UNUSED:
        for path in site.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    stamp.write_text(wanted)


def product(site: Path) -> None:
    for top in ("octelium", "tui"):
        shutil.rmtree(site / top, ignore_errors=True)
    for path in sources():
        copy = site / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    for cache in site.rglob("__pycache__"):
        shutil.rmtree(cache)


def preamble(target: Target) -> Path:
    text = (ROOT / "scripts/preamble.py").read_text()
    path = BUILD / "preamble.py"
    machine = f"{sys.platform}-{target.machine}"
    text = text.replace('"@PYTHON@"', repr(target.python)).replace('"@MACHINE@"', repr(machine))
    path.write_text(text)
    path.chmod(0o755)
    return path


def build(target: Target = NATIVE) -> Path:
    """The file for a target, built if its sources have changed."""
    output, stamp = DIST / target.name, BUILD / f"zipapp{target.suffix}"
    DIST.mkdir(exist_ok=True)
    BUILD.mkdir(exist_ok=True)
    wanted = digest(target)
    if output.exists() and stamp.exists() and stamp.read_text() == wanted:
        return output
    dependencies(target)
    product(target.site)
    command: list[str | Path] = [
        sys.executable,
        ROOT / "scripts/run_shiv.py",
        "--site-packages",
        target.site,
    ]
    command += ["--reproducible", "-p", f"/usr/bin/env python{target.python}"]
    command += ["-e", "octelium.__main__:main", "--preamble", preamble(target), "-o", output]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    stamp.write_text(wanted)
    return output


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the zipapp.")
    parser.add_argument("--python", default=NATIVE.python, help="such as 3.12")
    parser.add_argument("--machine", default=NATIVE.machine, help="such as aarch64")
    wanted = parser.parse_args()
    target = Target(wanted.python, wanted.machine)
    output = build(target)
    if target.is_native:
        for link in LINKS:
            path = DIST / link
            path.unlink(missing_ok=True)
            path.symlink_to(target.name)
    print(output.relative_to(ROOT))


if __name__ == "__main__":
    main()
