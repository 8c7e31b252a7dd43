"""Whether the computer that a client runs on has a browser for its person, and opening it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


def opener(environ: Mapping[str, str], platform: str = sys.platform) -> list[str] | None:
    """The command that opens an address in the browser, or None where the person has none here.

    Elsewhere than on Windows and macOS a display is wanted; over SSH only a display makes one.
    """
    remote = bool(environ.get("SSH_CONNECTION"))
    if platform == "win32":
        return None if remote else ["rundll32", "url.dll,FileProtocolHandler"]
    if platform == "darwin":
        return None if remote else ["open"]
    if not any(environ.get(name) for name in _DISPLAYS):
        return None
    found = shutil.which("xdg-open", path=environ.get("PATH", os.defpath))
    return None if found is None else [found]


def open_address(command: list[str], url: str) -> bool:
    """Start `command` with the address; whether it could be started. It runs on its own."""
    try:
        process = subprocess.Popen(  # noqa: S603  (a program of the system; the address is our own)
            [*command, url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return False
    threading.Thread(target=process.wait, daemon=True).start()
    return True
