"""Build dist/release: what `install.sh --from` takes, as a directory or behind a web server.

It holds a zipapp for each Python and machine that install.sh knows, install.sh and uninstall.sh;
for k3s (`bootstrap.sh --from`) an image for each machine, the manifests in one tar file and
bootstrap.sh; and the checksums of all. Sign these by `minisign -Sm dist/release/SHA256SUMS`.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import tarfile
from typing import TYPE_CHECKING

import build_image
from build_zipapp import DIST, EPOCH, ROOT, Target, build, version
from image_system import MissingError

if TYPE_CHECKING:
    from pathlib import Path

RELEASE = DIST / "release"
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")


def filled(script: Path, url: str, public_key: str) -> str:
    """A script with the place and the key of this release as its defaults."""
    text = script.read_text()
    for name, value in (("BASE", url), ("SIGNED_BY", public_key)):
        if not re.fullmatch(r"[A-Za-z0-9:/._+=-]*", value):
            raise SystemExit(f"{value!r} holds characters that have no place in {script.name}")
        text, count = re.subn(
            rf"^readonly {name}=''", f"readonly {name}='{value}'", text, flags=re.MULTILINE
        )
        if count != 1:
            raise SystemExit(f"{script.name} has no line for {name}")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description="Build a release.")
    parser.add_argument("--url", default="", help="where it will be, for its install.sh")
    parser.add_argument("--public-key", default="", help="minisign key that will sign it")
    wanted = parser.parse_args()
    shutil.rmtree(RELEASE, ignore_errors=True)
    RELEASE.mkdir(parents=True)
    for python in PYTHONS:
        for machine in MACHINES:
            made = build(Target(python, machine))
            shutil.copy(made, RELEASE / made.name)
    for machine in MACHINES:
        try:
            build_image.build(machine, output=RELEASE / build_image.name_of(machine))
        except MissingError as error:
            raise SystemExit(f"build_release: {error}") from None
    write_manifests(RELEASE / f"octelium-{version()}-k3s.tar")
    for script in (ROOT / "install.sh", ROOT / "k3s/bootstrap.sh"):
        (RELEASE / script.name).write_text(filled(script, wanted.url, wanted.public_key))
    shutil.copy(ROOT / "uninstall.sh", RELEASE)
    write_checksums(RELEASE)
    print(RELEASE.relative_to(ROOT))


def write_manifests(output: Path) -> None:
    """The folder k3s without its script; the same files give the same bytes."""
    with tarfile.open(output, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted((ROOT / "k3s").rglob("*")):
            if path.name == "bootstrap.sh":
                continue
            info = tarfile.TarInfo(str(path.relative_to(ROOT)))
            info.mtime = int(EPOCH)
            if path.is_dir():
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            else:
                info.size, info.mode = path.stat().st_size, 0o644
                with path.open("rb") as file:
                    tar.addfile(info, file)


def write_checksums(folder: Path) -> None:
    """SHA256SUMS of all files in a folder, in the form of sha256sum(1)."""
    sums = folder / "SHA256SUMS"
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("SHA256SUMS"))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    sums.write_text("".join(lines))


if __name__ == "__main__":
    main()
