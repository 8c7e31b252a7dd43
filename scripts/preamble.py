#!/usr/bin/env python3
"""Runs inside the zipapp once it is unpacked, before Octelium starts.

Explains a Python or machine that the file was not built for, and removes the unpacked files of
older versions that no process uses any more. It runs at every start, so it imports little.
"""

import fcntl
import os
import sys

PYTHON = "@PYTHON@"
MACHINE = "@MACHINE@"


def check():
    """Stop with an explanation where compiled parts could not be loaded."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    machine = f"{sys.platform}-{os.uname().machine}"
    if (python, machine) != (PYTHON, MACHINE):
        sys.exit(
            f"octelium: this file is for Python {PYTHON} on {MACHINE}; this is Python {python} on "
            f"{machine}.\nTake the file whose name says py{python.replace('.', '')}-{machine}, or "
            f"start it with python{PYTHON}."
        )


def claim(folder):
    """Hold a shared lock on `folder` while this process lives; whether this is its first use.

    Another version may have removed the folder since it was found: then the start begins again,
    and unpacks it.
    """
    path = os.path.join(folder, ".used")
    first = not os.path.exists(path)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except FileNotFoundError:
        again()
    except OSError:
        return False  # a read-only place is cleaned by its owner
    fcntl.flock(handle, fcntl.LOCK_SH)
    if not os.path.exists(path):
        again()
    return first


def again():
    """Start the program anew, with the same arguments."""
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - this program itself


def clean(folder):
    """Remove other unpacked versions beside `folder` that nobody has claimed.

    One is out of the way before its files go, so that nobody finds half of it.
    """
    import shutil

    parent, own = os.path.split(folder)
    for name in os.listdir(parent):
        path = os.path.join(parent, name, ".used")
        if name == own or not name.startswith("octelium") or not os.path.exists(path):
            continue
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            away = os.path.join(parent, f".{name}.{os.getpid()}")
            os.rename(os.path.dirname(path), away)
            shutil.rmtree(away, ignore_errors=True)
        except OSError:
            pass  # in use
        finally:
            os.close(handle)


check()
_folder = os.path.dirname(str(globals()["site_packages"]))  # handed over by what runs this file
if claim(_folder):
    clean(_folder)
