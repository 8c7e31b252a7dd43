"""Build the one file: dist/octelium-<version>-<python>-<platform>.pyz, and the links to it.

The same sources and locks give the same bytes. The file is for one Python minor and one
architecture, which its name says and its preamble checks.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
DIST = ROOT / "dist"
SITE = BUILD / "site-packages"
EPOCH = "1700000000"
LINKS = ("octelium.pyz", "octelium", "octeliumctl", "octops")
# Carried along by dependencies and never imported at run time.
UNUSED = ("pip", "setuptools", "bin", "pip-*.dist-info", "*/tests", "*/test")
BIN = Path(sys.executable).parent


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


def digest() -> str:
    """What the file depends on: sources, locks, this script, the interpreter."""
    state = hashlib.sha256(sys.version.encode())
    inputs = [*sources(), ROOT / "locks/runtime.txt", *sorted((ROOT / "scripts").glob("*.py"))]
    for path in inputs:
        state.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return state.hexdigest()


def dependencies() -> None:
    """Install the locked dependencies into build/site-packages, once per lock."""
    lock = ROOT / "locks/runtime.txt"
    stamp = BUILD / "dependencies"
    wanted = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted and SITE.exists():
        return
    shutil.rmtree(SITE, ignore_errors=True)
    SITE.mkdir(parents=True)
    command = [BIN / "uv", "pip", "install", "-q", "-p", sys.executable, "--target", SITE]
    subprocess.run([*command, "--require-hashes", "-r", lock], check=True)
    for pattern in UNUSED:
        for path in SITE.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    stamp.write_text(wanted)


def product() -> None:
    for top in ("octelium", "tui"):
        shutil.rmtree(SITE / top, ignore_errors=True)
    for path in sources():
        target = SITE / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    for cache in SITE.rglob("__pycache__"):
        shutil.rmtree(cache)


def preamble(python: str, machine: str) -> Path:
    text = (ROOT / "scripts/preamble.py").read_text()
    path = BUILD / "preamble.py"
    path.write_text(text.replace('"@PYTHON@"', repr(python)).replace('"@MACHINE@"', repr(machine)))
    path.chmod(0o755)
    return path


def main() -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    machine = f"{sys.platform}-{platform.machine()}"
    name = f"octelium-{version()}-py{python.replace('.', '')}-{machine}.pyz"
    output, stamp = DIST / name, BUILD / "zipapp"
    DIST.mkdir(exist_ok=True)
    BUILD.mkdir(exist_ok=True)
    wanted = digest()
    if not (output.exists() and stamp.exists() and stamp.read_text() == wanted):
        dependencies()
        product()
        command = [
            sys.executable,
            ROOT / "scripts/run_shiv.py",
            "--site-packages",
            SITE,
            "--reproducible",
        ]
        command += ["-p", f"/usr/bin/env python{python}", "-e", "octelium.__main__:main"]
        command += ["--preamble", preamble(python, machine), "-o", output]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        stamp.write_text(wanted)
    for link in LINKS:
        path = DIST / link
        path.unlink(missing_ok=True)
        path.symlink_to(name)
    print(output.relative_to(ROOT))


if __name__ == "__main__":
    main()
