"""Where a client keeps what it remembers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_IN_MEMORY = ("mem", "memory")


def state_directory(homedir: str | None, environ: Mapping[str, str]) -> Path | None:
    """The directory of the remembered logins; None when nothing may be kept on disk.

    `homedir` (the flag) goes before `OCTELIUM_HOME`, which goes before `octelium` in the user's
    configuration directory (XDG Base Directory Specification). The words `mem` and `memory`
    keep everything within the process.
    """
    chosen = homedir or environ.get("OCTELIUM_HOME")
    if chosen:
        return None if chosen in _IN_MEMORY else Path(chosen).expanduser()
    return _user_configuration(environ) / "octelium"


def _user_configuration(environ: Mapping[str, str]) -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    configured = environ.get("XDG_CONFIG_HOME", "")
    # The specification has relative paths ignored.
    return Path(configured) if configured.startswith("/") else Path.home() / ".config"
