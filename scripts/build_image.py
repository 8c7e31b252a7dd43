"""Build the container image: dist/octelium-VERSION-linux-ARCH.oci.tar, the image octelium:VERSION.

ARCH is amd64 or arm64. The file is an OCI image layout, which `ctr images import` and others take
in. It is made without Docker and without root, of Debian's packages (image_system.py) and of the
contents of the zipapp for Debian's Python, with the code compiled, since a container's root is
read-only. The same packages and sources give the same bytes.

In the image: user octelium (10001:10001), /usr/bin/octelium, octeliumctl and octops, the data
directory /var/lib/octelium. It has no shell.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import build_zipapp
import image_layout
import image_system
from build_zipapp import BUILD, DIST, EPOCH, ROOT, Target, version
from image_layout import LEVEL, Entry, Layer
from image_system import ARCHITECTURES, PYTHON, MissingError

USER = 10001
NAMES = ("octelium", "octeliumctl", "octops")
CODE = "usr/lib/octelium"
DATA = "var/lib/octelium"
IDLE = (
    *("*.pyi", "*.pxd", "*.pyx", "*.h", "*.c", "tests", "test", "include"),
    *("cel_expr_python/ext/ext_optional.*", "cel_expr_python/ext/ext_proto.*", "lxml/objectify.*"),
)
"""What is left out of the zipapp's contents: what only compilers and developers read, and large
parts of dependencies that nothing imports.
"""
NOT_COMPILED = {"markdown_it", "mdit_py_plugins", "pygments", "rich", "textual"}
"""What only the terminal interface loads, which seldom runs in a container."""
ACCOUNTS = {
    "etc/passwd": f"""root:x:0:0:root:/nonexistent:/usr/sbin/nologin
octelium:x:{USER}:{USER}:Octelium:/{DATA}:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
""",
    "etc/group": f"root:x:0:\noctelium:x:{USER}:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
START = f"""#!/usr/bin/{PYTHON} -PsS
# Starts what the name says: octelium, octeliumctl or octops.
import sys

sys.path.insert(0, "/{CODE}")
from octelium.__main__ import main

main()
"""
"""-S, since nothing that a site adds is wanted; -P and -s, since neither is what lies elsewhere."""


def system_layer(scratch: Path, machine: str, epoch: int, *, offline: bool, level: int) -> Layer:
    """The system, its accounts, and the folders that containers mount over."""
    root = scratch / "system"
    root.mkdir()
    versions = image_system.system(root, machine, offline=offline)
    for name, text in ACCOUNTS.items():
        (root / name).write_text(text)
    for name in (DATA, "run/octelium", "tmp", "proc", "sys", "dev"):
        (root / name).mkdir(parents=True, exist_ok=True)
    compile_all(root, [root / "usr/lib" / PYTHON])
    own = {DATA: Entry(0o700, USER), "run/octelium": Entry(0o700, USER), "tmp": Entry(0o1777)}
    packages = ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))
    return image_layout.layer(root, f"Debian: {packages}", epoch, own, level)


def code_layer(scratch: Path, zipapp: Path, epoch: int, *, level: int) -> Layer:
    """The contents of the zipapp, compiled, and the programs that start them."""
    root = scratch / "code"
    code = root / CODE
    code.mkdir(parents=True)
    with zipfile.ZipFile(zipapp) as archive:
        for info in archive.infolist():
            top, _, name = info.filename.partition("/")
            if top == "site-packages" and name and not info.is_dir():
                path = code / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(info))
                if ".so" in path.suffixes:
                    path.chmod(0o755)
    if not (code / "octelium/__main__.py").exists():
        raise MissingError(f"{zipapp} is no zipapp of Octelium")
    for pattern in IDLE:
        for path in list(code.rglob(pattern)):
            image_system.remove(path)
    shutil.copy(ROOT / "LICENSE", code / "LICENSE")
    modules = (path for path in code.iterdir() if path.suffix in ("", ".py"))
    compile_all(root, sorted(path for path in modules if path.name not in NOT_COMPILED))
    programs = root / "usr/bin"
    programs.mkdir(parents=True)
    (programs / NAMES[0]).write_text(START)
    (programs / NAMES[0]).chmod(0o755)
    for name in NAMES[1:]:
        (programs / name).symlink_to(NAMES[0])
    return image_layout.layer(root, f"Octelium {version()}", epoch, level=level)


def compile_all(root: Path, paths: list[Path]) -> None:
    """Compile modules, so that they need no place to write to and start at once.

    A process for each path, and the same seed: what is in memory decides about the bytes too.
    """
    words = [sys.executable, "-P", "-s", "-S", "-m", "compileall", "-qq"]
    words += ["--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", "/"]
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"}
    for path in paths:
        # Templates that only look like modules do not compile, and are not needed compiled.
        subprocess.run([*words, path], env=environment, check=False, stdout=subprocess.DEVNULL)


def configuration() -> dict[str, Any]:
    """How containers of the image start, unless they say otherwise."""
    return {
        "User": f"{USER}:{USER}",
        "Entrypoint": ["octelium"],
        "Cmd": ["up"],
        "Env": [
            "PATH=/usr/bin",
            "LANG=C.UTF-8",
            f"HOME=/{DATA}",
            f"OCTELIUM_DATA_DIR=/{DATA}",
        ],
        "WorkingDir": "/",
        "StopSignal": "SIGTERM",
        "Labels": {
            "org.opencontainers.image.title": "octelium",
            "org.opencontainers.image.description": "An Octelium Cluster",
            "org.opencontainers.image.version": version(),
        },
    }


def name_of(machine: str) -> str:
    """The file's name for a machine such as `x86_64`."""
    return f"octelium-{version()}-linux-{ARCHITECTURES[machine]}.oci.tar"


def build(
    machine: str = platform.machine(),
    *,
    output: Path | None = None,
    zipapp: Path | None = None,
    offline: bool = False,
    level: int = LEVEL,
) -> tuple[Path, list[Layer]]:
    """Build the image for a machine; its file and layers. Raises MissingError.

    `output`: another place for the file; `zipapp`: take its contents, and build none;
    `level`: of gzip.
    """
    if machine not in ARCHITECTURES:
        raise MissingError(f"no image for {machine}; there are {', '.join(ARCHITECTURES)}")
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", EPOCH))
    minor = PYTHON.removeprefix("python")
    output = output or DIST / name_of(machine)
    BUILD.mkdir(exist_ok=True)
    output.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="image-") as scratch:
        system = system_layer(Path(scratch), machine, epoch, offline=offline, level=level)
        source = zipapp or build_zipapp.build(Target(minor, machine))
        code = code_layer(Path(scratch), source, epoch, level=level)
    layers = [system, code]
    image_layout.write(
        output,
        layers,
        configuration(),
        f"octelium:{version()}",
        epoch,
        {"os": "linux", "architecture": ARCHITECTURES[machine]},
    )
    return output, layers


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the container image.")
    parser.add_argument("--machine", default=platform.machine(), help="x86_64 or aarch64")
    parser.add_argument("--zipapp", type=Path, help="take this file's contents")
    parser.add_argument("--output", type=Path, help="where to write it")
    parser.add_argument(
        "--offline", action="store_true", help="take the packages that were fetched before"
    )
    parser.add_argument(
        "--level", type=int, choices=range(10), default=LEVEL, help="how much layers are packed"
    )
    wanted = parser.parse_args()
    try:
        output, layers = build(
            wanted.machine,
            output=wanted.output,
            zipapp=wanted.zipapp,
            offline=wanted.offline,
            level=wanted.level,
        )
    except MissingError as error:
        raise SystemExit(f"build_image: {error}") from None
    for part in layers:
        packed, plain = len(part.content) / 1e6, part.size / 1e6
        what = part.what.partition(":")[0]
        print(f"{what}: {packed:.1f} MB, {plain:.1f} MB unpacked", file=sys.stderr)
    print(f"image octelium:{version()}, {output.stat().st_size / 1e6:.1f} MB", file=sys.stderr)
    print(os.path.relpath(output, ROOT))


if __name__ == "__main__":
    main()
