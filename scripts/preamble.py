#!/usr/bin/env python3
"""Runs inside the zipapp after it is unpacked, before Octelium starts.

Explains a Python or machine that the file was not built for, and removes the unpacked files of
older versions that no process uses any more.
"""

import fcntl
import os
import platform
import shutil
import sys
from pathlib import Path

PYTHON = "@PYTHON@"
MACHINE = "@MACHINE@"


def check() -> None:
    """Stop with an explanation where compiled parts could not be loaded."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    machine = f"{sys.platform}-{platform.machine()}"
    if (python, machine) != (PYTHON, MACHINE):
        sys.exit(
            f"octelium: this file is for Python {PYTHON} on {MACHINE}; this is Python {python} on "
            f"{machine}.\nTake the file whose name says py{python.replace('.', '')}-{machine}, or "
            f"start it with python{PYTHON}."
        )


def claim(folder: Path) -> bool:
    """Hold a shared lock on `folder` while this process lives; false if it is read-only."""
    try:
        handle = os.open(folder / ".used", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        return False
    fcntl.flock(handle, fcntl.LOCK_SH)
    return True


def clean(folder: Path) -> None:
    """Remove other unpacked versions beside `folder` that nobody has claimed."""
    for other in folder.parent.glob("octelium*_*"):
        if other == folder or not (other / ".used").exists():
            continue
        handle = os.open(other / ".used", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(other, ignore_errors=True)
        except OSError:
            pass  # in use
        finally:
            os.close(handle)


check()
_folder = Path(globals()["site_packages"]).parent  # handed over by shiv's bootstrap
_fresh = not (_folder / ".used").exists()
if claim(_folder) and _fresh:
    clean(_folder)
