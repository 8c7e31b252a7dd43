"""The user that a Cluster runs as when root starts it: nothing of it has to be root but its start.

Addresses below port 1024 may still be bound, and everything is then as if that user had started it:
the private network is in a user namespace, and files belong to that user.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import octelium
from octelium.tunnel.link import capabilities

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping, Sequence

    Owner = pwd.struct_passwd

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class OwnerError(Exception):
    """That user cannot run it; the text says why and what to do."""


def owner_of(user: str, data_dir: Path) -> Owner | None:
    """Who to become: `user`, or, if that is empty, whoever the data directory belongs to. None to
    stay who one is.

    Raises:
        OwnerError: there is no such user, or one that is not root would have to become another.
    """
    mine = os.geteuid()
    try:
        if user:
            found = pwd.getpwnam(user)
        elif mine != 0:
            return None
        else:
            found = pwd.getpwuid(data_dir.stat().st_uid)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OwnerError(f"--data-dir: {error}") from error
    except KeyError as error:
        if user:
            raise OwnerError(f"--user: there is no user {user}: useradd --system {user}") from error
        raise OwnerError(
            f"--data-dir: {data_dir} belongs to nobody known here: chown -R root {data_dir}, or"
            " chown -R to the user that shall run it"
        ) from error
    if found.pw_uid == mine:
        return None
    if mine != 0:
        raise OwnerError(f"--user: only root becomes {found.pw_name}: start it with sudo")
    return found


def become(owner: Owner, data_dir: Path, environment: MutableMapping[str, str]) -> None:
    """Be another user for good, who keeps only the right to bind ports below 1024.

    The data directory is made by that user, or by root for it. One of root's own that is empty
    becomes the user's, if nobody but root can say what it is.

    Raises:
        OwnerError: the data directory is somebody else's, the user cannot read this program, or the
            kernel refuses.
    """
    try:
        groups = os.getgrouplist(owner.pw_name, owner.pw_gid)
        with acting_as(owner.pw_uid, owner.pw_gid, groups):
            _check_program(owner)
            has_folder = _has_folder(data_dir, owner)
        capabilities.keep_over_setuid()
        if not has_folder:
            _give(data_dir, owner)
        os.initgroups(owner.pw_name, owner.pw_gid)
        os.setresgid(owner.pw_gid, owner.pw_gid, owner.pw_gid)
        os.setresuid(owner.pw_uid, owner.pw_uid, owner.pw_uid)
        capabilities.hold(capabilities.NET_BIND_SERVICE)
    except OSError as error:
        raise OwnerError(f"--user: root cannot become {owner.pw_name} here: {error}") from error
    environment.update(HOME=owner.pw_dir, USER=owner.pw_name, LOGNAME=owner.pw_name)


@contextmanager
def acting_as(uid: int, gid: int, groups: Sequence[int] = ()) -> Iterator[None]:
    """Have another user's rights for a while, as root in a process of one thread.

    Raises:
        OSError: the kernel refuses.
    """
    former, group = os.getgroups(), os.getegid()
    try:
        os.setgroups([*groups])
        os.setegid(gid)
        os.seteuid(uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(former)


def _check_program(owner: Owner) -> None:
    for path in (Path(sys.executable), Path(octelium.__file__)):
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            raise OwnerError(
                f"--user: {owner.pw_name} cannot read {path}: put this program where everybody can"
                " (a zipapp is unpacked where SHIV_ROOT says), or use a Python of the system"
            ) from error


def _has_folder(data_dir: Path, owner: Owner) -> bool:
    """Whether the data directory is the user's, who makes it where the user's own rights do."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return data_dir.stat().st_uid == owner.pw_uid
    except PermissionError:
        return False
    except OSError as error:
        raise OwnerError(f"--data-dir: {error}") from error


def _give(data_dir: Path, owner: Owner) -> None:
    """Make the data directory as root, or take an empty one of root's, and hand it over."""
    folder = _roots_own(Path.cwd() / data_dir)
    try:
        with os.scandir(folder) as found:
            is_empty = next(found, None) is None
        if not is_empty:
            raise OwnerError(
                f"--user: {data_dir} belongs to another user: chown -R {owner.pw_name} {data_dir}"
            )
        os.fchown(folder, owner.pw_uid, owner.pw_gid)
    except OSError as error:
        raise OwnerError(f"--data-dir: {data_dir}: {error.strerror}") from error
    finally:
        os.close(folder)


def _roots_own(path: Path) -> int:
    """A descriptor of a folder of root's, which is made if it is missing.

    No link leads to it, and nobody but root can change what is on the way: it could be any folder
    of root's else. A folder that all share, such as /tmp, may be on the way, as by its sticky bit
    nobody moves away what is root's (inode(7)).
    """
    here = Path("/")
    folder = os.open(here, _FOLDER)
    try:
        # In a user namespace whoever is above has no name, and root is no more than who made it.
        trusted = {os.geteuid(), os.fstat(folder).st_uid}
        for number, part in enumerate(path.parts[1:], 2):
            is_last = number == len(path.parts)
            here /= part
            inner = _entered(folder, here, 0o700 if is_last else 0o755)
            os.close(folder)
            folder = inner
            _check_step(here, os.fstat(folder), trusted, is_last=is_last)
    except BaseException:
        os.close(folder)
        raise
    return folder


def _entered(folder: int, path: Path, mode: int) -> int:
    """A descriptor of `path`, whose parent is `folder`."""
    try:
        with suppress(FileExistsError):
            os.mkdir(path.name, mode, dir_fd=folder)
        return os.open(path.name, _FOLDER, dir_fd=folder)
    except OSError as error:
        why = error.strerror
        if error.errno == errno.ENOTDIR:
            why = "it is a file or a link: name the folder itself"
        raise OwnerError(f"--data-dir: {path}: {why}") from error


def _check_step(path: Path, found: os.stat_result, trusted: set[int], *, is_last: bool) -> None:
    by_group = found.st_mode & stat.S_IWGRP and found.st_gid != 0
    is_open = found.st_mode & stat.S_IWOTH or by_group
    if found.st_uid not in trusted or (is_open and (is_last or not found.st_mode & stat.S_ISVTX)):
        raise OwnerError(
            f"--data-dir: others than root can change {path}: choose a place that only root can"
            " change, or a folder of the user's own"
        )
