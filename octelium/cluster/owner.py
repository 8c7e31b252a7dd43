"""The user that a Cluster runs as when root starts it: nothing of it has to be root but its start.

Addresses below port 1024 may still be bound, and everything is then as if that user had started it:
the private network is in a user namespace, and files belong to that user.
"""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import octelium
from octelium.tunnel.link import capabilities

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    Owner = pwd.struct_passwd


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

    The data directory is made for it if there is none, or if it is empty.

    Raises:
        OwnerError: the data directory is somebody else's, the user cannot read this program, or the
            kernel refuses.
    """
    _give(data_dir, owner)
    try:
        capabilities.keep_over_setuid()
        os.initgroups(owner.pw_name, owner.pw_gid)
        os.setresgid(owner.pw_gid, owner.pw_gid, owner.pw_gid)
        os.setresuid(owner.pw_uid, owner.pw_uid, owner.pw_uid)
        capabilities.hold(capabilities.NET_BIND_SERVICE)
    except OSError as error:
        raise OwnerError(f"--user: root cannot become {owner.pw_name} here: {error}") from error
    environment.update(HOME=owner.pw_dir, USER=owner.pw_name, LOGNAME=owner.pw_name)
    for path in (Path(sys.executable), Path(octelium.__file__)):
        if not _readable(path):
            raise OwnerError(
                f"--user: {owner.pw_name} cannot read {path}: put this program where everybody can"
                " (a zipapp is unpacked where SHIV_ROOT says), or use a Python of the system"
            )


def _readable(path: Path) -> bool:
    return os.access(path, os.R_OK)


def _give(data_dir: Path, owner: Owner) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if data_dir.stat().st_uid == owner.pw_uid:
            return
        if any(data_dir.iterdir()):
            raise OwnerError(
                f"--user: {data_dir} belongs to another user: chown -R {owner.pw_name} {data_dir}"
            )
        os.chown(data_dir, owner.pw_uid, owner.pw_gid)
    except OSError as error:
        raise OwnerError(f"--data-dir: {error}") from error
