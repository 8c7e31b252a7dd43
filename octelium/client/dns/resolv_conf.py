"""The file that tells programs whom to ask for names (resolv.conf(5)): read, written, replaced."""

from __future__ import annotations

import errno
import ipaddress
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

PATH: Final = Path("/etc/resolv.conf")
MOUNTS: Final = Path("/proc/self/mountinfo")
_LARGEST: Final = 1 << 20
_MOST_SEARCHED: Final = 6
"""What older C libraries look at."""
_RESOLVED: Final = Path("/run/systemd/resolve")
_HEAD: Final = "# Made by octelium connect, which puts the former content back at its end.\n"
_IN_PLACE: Final = {errno.EBUSY, errno.EXDEV, errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """What such a file says. `options` are its other lines, as they stand."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def with_forwarder(self, address: str, domains: Iterable[str]) -> str:
        """The text that has `address` asked for everything, and `domains` searched first."""
        search = tuple(dict.fromkeys([*domains, *self.search]))[:_MOST_SEARCHED]
        lines = [f"nameserver {address}"]
        if search:
            lines.append(f"search {' '.join(search)}")
        return _HEAD + "\n".join([*lines, *self.options]) + "\n"

    def text(self) -> str:
        """What this says, as a file."""
        lines = [f"nameserver {each}" for each in self.nameservers]
        if self.search:
            lines.append(f"search {' '.join(self.search)}")
        return "\n".join([*lines, *self.options]) + "\n"


def parse(text: str) -> ResolvConf:
    """Read a file; lines that the resolver would pass over are left out.

    Of several `search` and `domain` lines the last one counts.
    """
    servers: list[str] = []
    search: tuple[str, ...] = ()
    options = []
    for line in text.splitlines():
        if line[:1] in "#;":
            continue
        words = line.split()
        if len(words) < 2:
            continue
        match words[0]:
            case "nameserver":
                if _is_address(words[1]):
                    servers.append(words[1])
            case "search":
                search = tuple(words[1:])
            case "domain":
                search = (words[1],)
            case "options" | "sortlist":
                options.append(" ".join(words))
    return ResolvConf(tuple(servers), search, tuple(options))


def read(path: Path) -> str:
    """The text of a file; empty if there is none. Bytes that are no text are kept.

    Raises:
        OSError: it cannot be read, or is too large to be one.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return ""
    if len(content) > _LARGEST:
        raise OSError(errno.EFBIG, f"over {_LARGEST} bytes", str(path))
    return content.decode("utf-8", "surrogateescape")


def is_of_resolved(path: Path = PATH) -> bool:
    """Whether it is a link to what systemd-resolved writes."""
    return path.resolve().is_relative_to(_RESOLVED)


def target(path: Path = PATH) -> Path:
    """The file itself, of which `path` may be a symbolic link.

    Raises:
        OSError: it is systemd-resolved's, or the link leads nowhere.
    """
    found = path.resolve()
    if is_of_resolved(path):
        raise OSError(
            errno.EPERM,
            "it is a link to what systemd-resolved writes; names are given to that service, "
            "which does not run",
            str(path),
        )
    if path.is_symlink() and not found.exists():
        raise OSError(errno.ENOENT, f"it is a link to {found}, which is not there", str(path))
    return found


def mounted(path: Path, mounts: Path = MOUNTS) -> str | None:
    """What is mounted at the file itself, as in containers; None if nothing is.

    The device and the place in it, by proc_pid_mountinfo(5): the same for all who see this file,
    another for those who see another file at the same path.
    """
    found = None
    for line in mounts.read_text("utf-8", "surrogateescape").splitlines():
        words = line.split(" ")
        place = words[4].encode("utf-8", "surrogateescape")
        if os.fsdecode(place.decode("unicode_escape").encode("latin-1")) == str(path):
            found = f"{words[2]}:{words[3]}"
    return found


def write(path: Path, text: str) -> None:
    """Replace the content: at once where that can be, in place where a file is mounted.

    Mode and owner stay.

    Raises:
        OSError: it cannot be written.
    """
    content = text.encode("utf-8", "surrogateescape")
    if mounted(path) is None:
        try:
            _replace(path, content)
            return
        except OSError as error:
            if error.errno not in _IN_PLACE or not path.exists():
                raise
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            try:
                former = path.stat()
            except FileNotFoundError:
                os.fchmod(file.fileno(), 0o644)
            else:
                os.fchown(file.fileno(), former.st_uid, former.st_gid)
                os.fchmod(file.fileno(), former.st_mode & 0o7777)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
