"""What the zipapp does with its unpacked files before it starts."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

_TEXT = (Path(__file__).parents[2] / "scripts/preamble.py").read_text()
_START = """
import os, shutil, sys
folder = sys.argv[1]
if os.environ.get("BEGUN"):
    os.makedirs(folder)
    print("again", *sys.argv[1:])
os.environ["BEGUN"] = "1"
exec(compile(open(sys.argv[2]).read(), sys.argv[2], "exec"), {"site_packages": folder})
print("started")
"""


@pytest.fixture
def preamble(tmp_path: Path) -> list[str]:
    """The command that starts a program with the preamble, but for the folder's path."""
    text = _TEXT.replace("@PYTHON@", f"{sys.version_info.major}.{sys.version_info.minor}")
    (tmp_path / "preamble.py").write_text(
        text.replace("@MACHINE@", f"{sys.platform}-{os.uname().machine}")
    )
    (tmp_path / "start.py").write_text(_START)
    return [sys.executable, str(tmp_path / "start.py")]


def version(root: Path, name: str) -> Path:
    folder = root / name / "site-packages"
    folder.mkdir(parents=True)
    return folder


def run(command: list[str], folder: Path) -> str:
    script = Path(command[1]).with_name("preamble.py")
    done = subprocess.run(
        [*command, str(folder), str(script)], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_older_versions_go_unless_somebody_uses_them(tmp_path: Path, preamble: list[str]) -> None:
    root = tmp_path / "root"
    unused, used = version(root, "octelium_1"), version(root, "octelium_2")
    other = version(root, "another_1")
    for folder in (unused, used, other):
        (folder.parent / ".used").touch()
    with (used.parent / ".used").open("r+") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        assert run(preamble, version(root, "octelium_3")) == "started\n"
    assert {path.name for path in root.iterdir()} == {"octelium_2", "octelium_3", "another_1"}


def test_who_loses_its_files_meanwhile_begins_again(tmp_path: Path, preamble: list[str]) -> None:
    folder = tmp_path / "root/octelium_1/site-packages"
    output = run(preamble, folder)
    assert output == f"again {folder} {tmp_path / 'preamble.py'}\nstarted\n"
