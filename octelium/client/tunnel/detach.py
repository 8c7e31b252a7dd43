"""A connection in the background: how it is started, and how it is known that it works."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import octelium
from octelium.client import ownership
from octelium.client.tunnel.control import Place, ask
from octelium.client.tunnel.errors import TunnelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

READY: Final = 30.0
"""Seconds until a request through the tunnel must have been answered."""
_TURN: Final = 0.05
_LOOK: Final = 1.0
"""Seconds between two questions to systemd."""
_ENDS: Final = 25.0
"""Seconds for the end of what was started in vain."""
_LINES: Final = 20
_RUNS_SYSTEMD: Final = Path("/run/systemd/system")
"""Is there where systemd is the init system (sd_booted(3))."""
_PASSED_ON: Final = (
    "OCTELIUM_API_ENDPOINT",
    "OCTELIUM_AUTH_PROXY_SOCKET",
    "OCTELIUM_CONTAINER_MODE",
    "OCTELIUM_INSECURE_TLS",
    "OCTELIUM_KEEPALIVE",
    "OCTELIUM_LOCAL_DNS_SERVER",
    "OCTELIUM_MTU",
    "OCTELIUM_TLS_SERVER_NAME",
    "PATH",
    "SSL_CERT_FILE",
)
"""Variables that a unit gets. Anybody may read a unit's properties, so secrets are not among them.
"""
_PROXIES: Final = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")
_FIXED: Final = "OCTELIUM_ACCESS_TOKEN"
"""A secret that a connection cannot do without if it is there."""

_STARTED: list[subprocess.Popen[bytes]] = []
"""Processes that outlive this one: nobody waits for them."""


def command(arguments: Sequence[str]) -> list[str]:
    """The words that run this very program again."""
    code = _code()
    # Unpacked, everything stands beside the code; what the machine has is not wanted.
    isolated = ["-S"] if (code / "bin/preamble.py").exists() else []
    return [sys.executable, "-P", "-s", *isolated, "-m", "octelium", *arguments]


def start_apart(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Run this very program again, without streams, and never hear of it any more."""
    _STARTED.append(
        subprocess.Popen(  # noqa: S603  (our own program)
            command(arguments),
            env={**environ, "PYTHONPATH": str(_code())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    )


def systemd_command(
    place: Place, arguments: Sequence[str], environ: Mapping[str, str]
) -> list[str] | None:
    """The words that have systemd run this program; None where there is no systemd for us, or it
    would have to be told a secret.
    """
    runner = shutil.which("systemd-run", path=environ.get("PATH", os.defpath))
    if os.geteuid() != 0 or runner is None or not _RUNS_SYSTEMD.is_dir() or environ.get(_FIXED):
        return None
    given = {name: environ[name] for name in _PASSED_ON if environ.get(name)}
    # In a proxy's address there may be a password.
    open_ones = (name for name in _PROXIES if "@" not in environ.get(name, "@"))
    given |= {name: environ[name] for name in open_ones}
    settings = [f"--setenv={name}={value}" for name, value in given.items()]
    return [
        runner,
        "--quiet",
        "--collect",
        f"--unit={_unit(place)}",
        "--property=Restart=on-failure",
        "--property=RestartSec=2",
        f"--property=StandardError=append:{place.log}",
        f"--setenv=PYTHONPATH={_code()}",
        *settings,
        "--",
        *command(arguments),
    ]


def check_code(code: Path) -> None:
    """Refuse to have root run code for good that others can change, a file or a folder.

    Raises:
        TunnelError: somebody else owns it or a folder above it, or everybody may write there.
    """
    for path in (code, *code.parents):
        found = path.stat()
        is_open = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
        if found.st_uid != 0 or is_open:
            raise TunnelError(
                f"{path} does not belong to root alone, and root would run code from below it",
                "run the program as root from a place of root's, such as /usr/local/bin",
            )


def start(
    place: Place,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    sleep: Callable[[float], None] = time.sleep,
    ready: float = READY,
) -> str:
    """Run `octelium ARGUMENTS` in the background until `octelium disconnect`; what answered.

    `arguments` are seen by everybody on this host: no secret may be among them.

    Raises:
        TunnelError: nothing answered through the tunnel, and the background process is ended; or
            root would run code that others can change, and nothing is begun.
        StateError: as root: the directory is not root's alone; nothing is begun.
    """
    if os.geteuid() == 0:
        for path in (Path(octelium.__file__), Path(sys.executable).resolve()):
            check_code(path)
    ownership.make(place.directory)
    if (other := ask(place, "status")) is not None:
        problem = f"connected already, by process {other.get('pid', 'unknown')}"
        raise TunnelError(problem, "octelium disconnect ends that connection")
    log = _log(place)
    words = systemd_command(place, arguments, environ)
    with os.fdopen(log, "wb") as output:
        process = subprocess.Popen(  # noqa: S603  (our own program, or systemd's)
            words or command(arguments),
            env={**environ, "PYTHONPATH": str(_code())},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + ready
    look_at = time.monotonic() + _LOOK
    while time.monotonic() < deadline:
        told = ask(place, "status") or {}
        if told.get("answered"):
            _STARTED.append(process)
            return str(told["answered"])
        if told.get("trouble"):
            break
        code = process.poll()
        if code is not None and (words is None or code != 0):
            raise TunnelError(f"the connection in the background ended:\n{_last_words(place)}")
        if words is not None and time.monotonic() >= look_at:
            look_at = time.monotonic() + _LOOK
            if _has_ended(_unit(place), environ):
                said = _last_words(place)
                _stop(process, _unit(place), environ)
                raise TunnelError(f"the connection in the background ended:\n{said}")
        sleep(_TURN)
    ask(place, "end")
    _stop(process, None if words is None else _unit(place), environ)
    raise TunnelError(
        f"nothing answered through the tunnel within {ready:g} s:\n{_last_words(place)}",
        "without --detach it shows more",
    )


def _log(place: Place) -> int:
    """An empty log. Raises TunnelError for a link: what it leads to would be lost."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(place.log, flags, 0o600)
    except OSError as error:
        why = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise TunnelError(f"{place.log} cannot be written: {why}", "remove it") from error


def _has_ended(unit: str, environ: Mapping[str, str]) -> bool:
    """Whether what systemd runs has failed once; it would be started again for ever."""
    teller = shutil.which("systemctl", path=environ.get("PATH", os.defpath))
    if teller is None:
        return False
    asked = [teller, "show", "--property=Result,NRestarts", unit]
    told = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=_ENDS)  # noqa: S603  (ours)
    found = dict(line.split("=", 1) for line in told.stdout.splitlines() if "=" in line)
    return found.get("Result", "success") != "success" or found.get("NRestarts", "0") != "0"


def _stop(process: subprocess.Popen[bytes], unit: str | None, environ: Mapping[str, str]) -> None:
    """End what was started, also if it does not listen, or is about to be started again."""
    if unit is not None:
        stopper = shutil.which("systemctl", path=environ.get("PATH", os.defpath))
        if stopper is not None:
            subprocess.run([stopper, "stop", unit], check=False, timeout=_ENDS)  # noqa: S603  (ours)
        process.wait(_ENDS)
        return
    process.terminate()
    try:
        process.wait(_ENDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _unit(place: Place) -> str:
    return f"octelium-{place.socket.stem}.service"


def _last_words(place: Place) -> str:
    lines = place.log.read_text(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-_LINES:]) or "  it said nothing"


def _code() -> Path:
    return Path(octelium.__file__).parent.parent
