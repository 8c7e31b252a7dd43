"""Whose a directory is: where root keeps files, nobody else may say what they really are."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from octelium.client.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_LINKS: Final = 40
"""As many as Linux follows in one path (path_resolution(7))."""
_REMEDY: Final = (
    "as root use a directory that is root's alone, such as by `sudo -H` or with "
    "--homedir ~root/.octelium, and log in there"
)


def make(directory: Path) -> None:
    """Make a directory for its user only, unless it is there; for root as `check` wants it.

    Raises:
        StateError: see `check`; nothing is made.
        OSError: it cannot be made.
    """
    check(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    check(directory)  # in a shared directory such as /tmp somebody may have been faster


def check(directory: Path) -> None:
    """Refuse to have root use a directory that somebody else can change, or the way to it.

    By a link there root would overwrite any file. A folder above it that all share, such as /tmp,
    is no such place: by its sticky bit nobody moves away what is another's (inode(7)). Whoever is
    not root can do no more harm than with a link of his own, and is not stopped.

    Raises:
        StateError: it is such a directory. One that does not exist yet is none by itself.
        OSError: it cannot be looked at.
    """
    if os.geteuid() != 0:
        return
    # In a user namespace whoever is above has no name, and root is no more than who made it.
    trusted = {0, Path("/").stat().st_uid}
    last: tuple[Path, os.stat_result] | None = None
    for step in _steps(directory):
        try:
            found = step.lstat()
        except FileNotFoundError:
            return
        if found.st_uid not in trusted:
            raise StateError(f"{_named(directory, step)} belongs to {_user(found.st_uid)}", _REMEDY)
        if stat.S_ISLNK(found.st_mode):
            continue
        last = (step, found)
        if _is_open(found) and not found.st_mode & stat.S_ISVTX:
            raise StateError(f"others than root may write to {_named(directory, step)}", _REMEDY)
    if last is not None and _is_open(last[1]):
        raise StateError(f"others than root may write to {_named(directory, last[0])}", _REMEDY)


def _is_open(found: os.stat_result) -> bool:
    by_group = found.st_mode & stat.S_IWGRP and found.st_gid != 0
    return bool(found.st_mode & stat.S_IWOTH or by_group)


def _steps(path: Path) -> Iterator[Path]:
    """Everything that the kernel goes through to `path`, links and what they lead to included."""
    here, links = Path("/"), 0
    rest = [*reversed(Path.cwd().joinpath(path).parts[1:])]
    yield here
    while rest:
        part = rest.pop()
        if part == "..":
            here = here.parent
            continue
        step = here / part
        yield step
        if not step.is_symlink():
            here = step
            continue
        links += 1
        if links > _MOST_LINKS:
            raise StateError(f"{path} leads through too many links", _REMEDY)
        target = step.readlink()
        if target.is_absolute():
            here = Path("/")
        rest += reversed(target.parts[1:] if target.is_absolute() else target.parts)


def _named(directory: Path, step: Path) -> str:
    return str(step) if step == directory else f"{step}, by which {directory} is reached,"


def _user(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
