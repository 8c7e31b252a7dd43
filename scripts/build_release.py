"""Build dist/release: what `install.sh --from` takes, as a directory or behind a web server.

It holds a zipapp for each Python and machine that install.sh knows, install.sh and uninstall.sh,
and their checksums. Sign the checksums by `minisign -Sm dist/release/SHA256SUMS`.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
from typing import TYPE_CHECKING

from build_zipapp import DIST, ROOT, Target, build

if TYPE_CHECKING:
    from pathlib import Path

RELEASE = DIST / "release"
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")


def filled(url: str, public_key: str) -> str:
    """install.sh with the place and the key of this release as its defaults."""
    text = (ROOT / "install.sh").read_text()
    for name, value in (("BASE", url), ("SIGNED_BY", public_key)):
        if not re.fullmatch(r"[A-Za-z0-9:/._+=-]*", value):
            raise SystemExit(f"{value!r} holds characters that have no place in install.sh")
        text, count = re.subn(
            rf"^readonly {name}=''", f"readonly {name}='{value}'", text, flags=re.MULTILINE
        )
        if count != 1:
            raise SystemExit(f"install.sh has no line for {name}")
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
    (RELEASE / "install.sh").write_text(filled(wanted.url, wanted.public_key))
    shutil.copy(ROOT / "uninstall.sh", RELEASE)
    write_checksums(RELEASE)
    print(RELEASE.relative_to(ROOT))


def write_checksums(folder: Path) -> None:
    """SHA256SUMS of all files in a folder, in the form of sha256sum(1)."""
    sums = folder / "SHA256SUMS"
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("SHA256SUMS"))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    sums.write_text("".join(lines))


if __name__ == "__main__":
    main()
