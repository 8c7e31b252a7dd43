"""Programs of the system that peers are made of."""

from __future__ import annotations

import shutil


def program(name: str, packages: str) -> str:
    """The path of a program. Without it the test fails: a peer that is missing proves nothing."""
    path = shutil.which(name)
    if path is None:
        raise RuntimeError(f"{name} is not installed; on Debian: apt-get install {packages}")
    return path
