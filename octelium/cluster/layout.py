"""The data directory: which file is where, and that one Cluster at a time uses it."""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class DataDirectoryError(Exception):
    """The data directory cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below one data directory."""

    root: Path

    @property
    def store(self) -> Path:
        """The embedded store of resources."""
        return self.root / "store"

    @property
    def logs(self) -> Path:
        """The embedded log store."""
        return self.root / "logs.db"

    @property
    def ca(self) -> Path:
        """The certificate of the Cluster's own CA, for clients to trust."""
        return self.root / "ca.pem"

    @property
    def run(self) -> Path:
        """Sockets; emptied at each start."""
        return self.root / "run"

    @property
    def feed(self) -> Path:
        """Control to workers: revisions; back: log records and counters."""
        return self.run / "feed.sock"

    @property
    def api(self) -> Path:
        """The API server, behind Vigil."""
        return self.run / "api.sock"

    @property
    def connect(self) -> Path:
        """The calls of the API that last, behind Vigil."""
        return self.run / "connect.sock"

    @property
    def auth_api(self) -> Path:
        """The API by which one signs in, behind Vigil; a server of its own, as anybody may call."""
        return self.run / "auth-api.sock"

    @property
    def auth(self) -> Path:
        """The login pages and OAuth2 endpoints, behind Vigil."""
        return self.run / "auth.sock"

    @property
    def portal(self) -> Path:
        """The Portal, behind Vigil."""
        return self.run / "portal.sock"

    @property
    def admin(self) -> Path:
        """What may be asked on the machine itself (`octops`)."""
        return self.run / "admin.sock"

    @property
    def controller(self) -> Path:
        """Control to the process that deploys containers, unless it has another place."""
        return self.run / "controller" / "feed.sock"

    @property
    def engine(self) -> Path:
        """What a tunnel engine of another make needs for itself."""
        return self.run / "engine"

    @property
    def peers(self) -> Path:
        """Where the peers of the tunnel were last."""
        return self.root / "gateway.peers"

    def prepare(self) -> int:
        """Make the folders and take the lock, which lasts as long as the returned descriptor.

        Raises:
            DataDirectoryError: another process has the lock, or the folders cannot be made.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            owners = {path.stat().st_uid for path in (self.root, *self.root.glob("*"))}
            if strangers := owners - {os.geteuid()}:
                # Also for root, whose processes give up the capability that would pass over this.
                raise DataDirectoryError(
                    f"--data-dir: {self.root}, or something in it, belongs to user"
                    f" {min(strangers)}: start as that user, or chown -R {os.geteuid()} {self.root}"
                )
            self.run.mkdir(exist_ok=True, mode=0o700)
            self.run.chmod(0o700)
            lock = self._open_lock()
        except OSError as error:
            raise DataDirectoryError(f"--data-dir: {error}") from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        for socket in self.run.glob("*.sock"):
            socket.unlink()
        return lock

    def withdraw(self) -> None:
        """Remove what `prepare` made, if no Cluster came to be here; while the lock is held."""
        if not self.store.exists():
            shutil.rmtree(self.run, ignore_errors=True)  # why it failed counts, and is told
            self._lock.unlink(missing_ok=True)

    @property
    def _lock(self) -> Path:
        return self.root / "lock"

    def _open_lock(self) -> int:
        lock = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
            os.close(lock)
            raise DataDirectoryError(
                f"--data-dir: {self.root} is in use by another `octelium up`"
                + (f" (process {holder})" if holder else "")
                + "; stop that one, or choose another directory"
            ) from None
        if not self._lock.exists() or not os.path.samestat(os.fstat(lock), self._lock.stat()):
            os.close(lock)  # its holder has withdrawn meanwhile
            return self._open_lock()
        return lock
